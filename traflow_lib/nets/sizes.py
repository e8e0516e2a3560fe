"""The networks by whose parameters and multiply-accumulates the paper's rivals are compared.

They are counted on torch's meta device, which takes no memory.
"""

EDM_CIFAR10 = {
    "kind": "edm",
    "net": {
        "kind": "ddpmpp",
        "size": 32,
        "width": 128,
        "multipliers": [2, 2, 2],
        "blocks": 4,
        "attention": [16],
        "clock": "label",
    },
}
EDM_FFHQ64 = {
    "kind": "edm",
    "net": {
        "kind": "ddpmpp",
        "size": 64,
        "width": 128,
        "multipliers": [1, 2, 2, 2],
        "blocks": 4,
        "attention": [16],
        "clock": "label",
    },
}


def _slimflow(width: int, blocks: int = 2, multipliers: tuple = (1, 2, 2)) -> dict:
    return {
        "kind": "ddpmpp",
        "size": 32,
        "width": width,
        "blocks": blocks,
        "multipliers": multipliers,
        "attention": [16],
    }


# name: (data set, millions of parameters as publications write them, `net` block)
NETWORKS: dict[str, tuple[str, str, dict]] = {
    "DDPM++ of EDM, CIFAR-10": ("cifar10", "55.7", EDM_CIFAR10),
    "DDPM++ of RectifiedFlow": ("cifar10", "61.8", {"kind": "ddpmpp"}),
    "SlimFlow, width 128": ("cifar10", "27.9", _slimflow(128)),
    "SlimFlow, width 96": ("cifar10", "15.7", _slimflow(96)),
    "SlimFlow, width 64": ("cifar10", "7.0", _slimflow(64)),
    "SlimFlow, width 64, one block": ("cifar10", "3.4", _slimflow(64, 1, (1, 1, 2))),
    "ADM, ImageNet-64": ("imagenet64", "295.9", {"kind": "edm", "net": {"kind": "adm"}}),
    "DDPM++ of EDM, FFHQ-64": ("ffhq64", "61.8", EDM_FFHQ64),
}
STUDENTS = {"cifar10": "DDPM++ of EDM, CIFAR-10", "imagenet64": "ADM, ImageNet-64"}  # of the paper's Table 8


def of_size(dataset: str, params_m: str) -> str | None:
    """The network of NETWORKS that a publication on this data set means by its number of parameters.

    None if it is not known.
    """
    return next((name for name, (of, size, _) in NETWORKS.items() if (of, size) == (dataset, params_m)), None)
