"""The part of the UniUltra module that needs no Qt: talking to the server, prompts, and the MRML scene.

`client`, `prompts`, `packed` and `planes` need numpy and requests only; `bridge`, `cine`, `oblique`
and `export` also need `slicer` and `vtk`. Nothing here needs torch, and importing opens nothing.
"""
