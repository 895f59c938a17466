"""Registrations of the models, one file per family, in the order in which `uniultra models` lists them."""

from uniultra.models.zoo import (  # isort: skip
    sam2 as sam2,
    uniultra as uniultra,
    samus as samus,
    lora as lora,
    lgmedseg as lgmedseg,
    autosamus as autosamus,
    baselines as baselines,
)
