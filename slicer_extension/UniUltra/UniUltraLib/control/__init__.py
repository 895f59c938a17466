"""The controller: prompts in, requests out, answers into the scene. No Qt, no Slicer."""
