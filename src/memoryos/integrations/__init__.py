"""Adapters to the interfaces of other libraries: LangGraph, the OpenAI Agents SDK and mem0, one module each."""
