"""Where networks run, and in which precision."""

from __future__ import annotations

import torch

__all__ = ["has_fast_bf16", "pick_device"]


def pick_device() -> torch.device:
    """The first GPU if there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is computed by the hardware, and not slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Not in every PyTorch that is allowed; without it the safe answer is no.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
