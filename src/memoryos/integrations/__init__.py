"""Adapters for LangGraph, the OpenAI Agents SDK and mem0. Programs that use these libraries can use MemoryOS."""
