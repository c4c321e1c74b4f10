"""The built-in embedder: its ONNX graph, and its speed."""
