"""Export to ONNX and TorchScript, checked against torch."""
