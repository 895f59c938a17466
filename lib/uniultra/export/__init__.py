"""Export of encoder and decoder to ONNX and TorchScript, checked against torch."""
