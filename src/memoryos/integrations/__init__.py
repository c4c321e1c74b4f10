"""Adapters with which programs for LangGraph, the OpenAI Agents SDK or mem0 can use MemoryOS; one module for each."""
