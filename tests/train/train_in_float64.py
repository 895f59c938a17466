"""The `uniultra` command in double precision throughout, whatever single precision the code asks for."""

import torch
from torch.overrides import TorchFunctionMode

from uniultra.cli.main import main


class Doubled(TorchFunctionMode):
    """Every float32 tensor that a torch function would return is a float64 one."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.float:
            function = torch.Tensor.double  # nothing is rounded on the way
        made = function(*args, **(kwargs or {}))
        return made.double() if isinstance(made, torch.Tensor) and made.dtype == torch.float32 else made


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    with Doubled():
        raise SystemExit(main())
