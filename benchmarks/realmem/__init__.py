"""RealMem: questions that a user asks an assistant in the course of long projects."""
