"""The networks by whose parameters and multiply-accumulates the paper's rivals are compared.

They are counted on torch's meta device, which takes no memory.
"""


def _ddpmpp(width: int, multipliers: list, blocks: int, size: int = 32) -> dict:
    return {
        "kind": "ddpmpp", "size": size, "width": width, "multipliers": multipliers, "blocks": blocks,
        "attention": [16],
    }  # fmt: skip


EDM_CIFAR10 = {"kind": "edm", "net": _ddpmpp(128, [2, 2, 2], 4) | {"clock": "label"}}
EDM_FFHQ64 = {"kind": "edm", "net": _ddpmpp(128, [1, 2, 2, 2], 4, size=64) | {"clock": "label"}}

# name: (data set, millions of parameters as publications write them, `net` block)
NETWORKS: dict[str, tuple[str, str, dict]] = {
    "DDPM++ of EDM, CIFAR-10": ("cifar10", "55.7", EDM_CIFAR10),
    "DDPM++ of RectifiedFlow": ("cifar10", "61.8", {"kind": "ddpmpp"}),
    "SlimFlow, width 128": ("cifar10", "27.9", _ddpmpp(128, [1, 2, 2], 2)),
    "SlimFlow, width 96": ("cifar10", "15.7", _ddpmpp(96, [1, 2, 2], 2)),
    "SlimFlow, width 64": ("cifar10", "7.0", _ddpmpp(64, [1, 2, 2], 2)),
    "SlimFlow, width 64, one block": ("cifar10", "3.4", _ddpmpp(64, [1, 1, 2], 1)),
    "ADM, ImageNet-64": ("imagenet64", "295.9", {"kind": "edm", "net": {"kind": "adm"}}),
    "DDPM++ of EDM, FFHQ-64": ("ffhq64", "61.8", EDM_FFHQ64),
}
STUDENTS = {"cifar10": "DDPM++ of EDM, CIFAR-10", "imagenet64": "ADM, ImageNet-64"}  # of the paper's Table 8


def of_size(dataset: str, params_m: str) -> str | None:
    """The network of NETWORKS that has this number of parameters in publications on a data set, or None."""
    return next((name for name, (of, size, _) in NETWORKS.items() if (of, size) == (dataset, params_m)), None)
