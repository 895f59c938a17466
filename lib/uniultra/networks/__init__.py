"""Network modules: image encoders, prompt encoder and decoder, and the base class `PromptNetwork`."""
