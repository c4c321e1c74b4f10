"""Doors for other programs' interfaces: LangGraph, the OpenAI Agents SDK, mem0. Each has a module of its own."""
