"""EDM's two U-Nets written out from their description, on tensors under the release's names.

layout() names and shapes, network() values.
"""

import torch
import torch.nn.functional as F


def layout(kind, size, width, multipliers, blocks, attention, classes=0, augment=0, channels=3):
    """[[name, shape], ...] in the order of the release."""
    song, embed, rows = kind == "SongUNet", 4 * width, []

    def add(name, *shape, bias=True):
        rows.append([f"{name}.weight", list(shape)])
        if bias:
            rows.append([f"{name}.bias", [shape[0]]])

    def block(name, inside, out, resize=False, attend=False):
        add(f"{name}.norm0", inside)
        add(f"{name}.conv0", out, inside, 3, 3)
        add(f"{name}.affine", out if song else 2 * out, embed)
        add(f"{name}.norm1", out)
        add(f"{name}.conv1", out, out, 3, 3)
        if inside != out or (resize and song):
            add(f"{name}.skip", out, inside, 1, 1)
        if attend:
            add(f"{name}.norm2", out)
            add(f"{name}.qkv", 3 * out, out, 1, 1)
            add(f"{name}.proj", out, out, 1, 1)

    if augment:
        add("map_augment", width, augment, bias=False)
    add("map_layer0", embed, width)
    add("map_layer1", embed, embed)
    if classes:
        add("map_label", embed, classes, bias=False)
    levels = [
        (f"{size >> i}x{size >> i}", width * m, (size >> i) in attention) for i, m in enumerate(multipliers)
    ]
    now = width if song else levels[0][1]
    add(f"enc.{levels[0][0]}_conv", now, channels, 3, 3)
    skips = [now]
    for i, (res, out, attend) in enumerate(levels):
        if i:
            block(f"enc.{res}_down", now, now, resize=True)
            skips.append(now)
        for j in range(blocks):
            block(f"enc.{res}_block{j}", now, out, attend=attend)
            now = out
            skips.append(now)
    for i, (res, out, attend) in reversed(list(enumerate(levels))):
        if i == len(levels) - 1:
            block(f"dec.{res}_in0", now, now, attend=True)
            block(f"dec.{res}_in1", now, now)
        else:
            block(f"dec.{res}_up", now, now, resize=True)
        for j in range(blocks + 1):
            block(f"dec.{res}_block{j}", now + skips.pop(), out, attend=attend and (j == blocks or not song))
            now = out
    last = (
        (f"dec.{levels[0][0]}_aux_norm", f"dec.{levels[0][0]}_aux_conv") if song else ("out_norm", "out_conv")
    )
    add(last[0], now)
    add(last[1], channels, now, 3, 3)
    return rows


def network(kind, tensors, x, noise_label, label=None):
    """F(x, noise_label) with each block recomputed from its own tensors."""
    song, eps = kind == "SongUNet", 1e-6 if kind == "SongUNet" else 1e-5

    def conv(h, name):
        weight = tensors[f"{name}.weight"]
        return F.conv2d(h, weight, tensors[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def norm(h, name):
        return F.group_norm(
            h, min(32, h.shape[1] // 4), tensors[f"{name}.weight"], tensors[f"{name}.bias"], eps
        )

    def linear(h, name):
        return F.linear(h, tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def resize(h, name):
        if name.endswith("_down"):
            return (h[..., ::2, ::2] + h[..., 1::2, ::2] + h[..., ::2, 1::2] + h[..., 1::2, 1::2]) / 4
        return h.repeat_interleave(2, 2).repeat_interleave(2, 3) if name.endswith("_up") else h

    def attend(h, name):
        b, c, height, wide = h.shape
        heads = 1 if song else c // 64
        rows = conv(norm(h, f"{name}.norm2"), f"{name}.qkv").reshape(b, heads, c // heads * 3, height * wide)
        q, k, v = rows[:, :, 0::3], rows[:, :, 1::3], rows[:, :, 2::3]
        weights = torch.einsum("bhcq,bhck->bhqk", q, k).div((c // heads) ** 0.5).softmax(-1)
        return conv(torch.einsum("bhqk,bhck->bhcq", weights, v).reshape(h.shape), f"{name}.proj")

    def block(x, name):
        h, x = conv(resize(F.silu(norm(x, f"{name}.norm0")), name), f"{name}.conv0"), resize(x, name)
        change = linear(emb, f"{name}.affine")[:, :, None, None]
        if song:
            h = F.silu(norm(h + change, f"{name}.norm1"))
        else:
            scale, shift = change.chunk(2, 1)
            h = F.silu(shift + norm(h, f"{name}.norm1") * (1 + scale))
        x = conv(x, f"{name}.skip") if f"{name}.skip.weight" in tensors else x
        scale = 0.5**0.5 if song else 1.0
        x = (x + conv(h, f"{name}.conv1")) * scale
        return (x + attend(x, name)) * scale if f"{name}.qkv.weight" in tensors else x

    half = tensors["map_layer0.weight"].shape[1] // 2
    angles = noise_label[:, None] * torch.tensor(
        [10000 ** (-i / (half - 1 if song else half)) for i in range(half)]
    ).to(x)
    emb = torch.cat([angles.sin(), angles.cos()] if song else [angles.cos(), angles.sin()], 1)
    emb = linear(F.silu(linear(emb, "map_layer0")), "map_layer1")
    emb = F.silu(emb if label is None else emb + tensors["map_label.weight"][:, label].T)
    stem, *names = dict.fromkeys(
        ".".join(name.split(".")[:2]) for name in tensors if name[:4] in ("enc.", "dec.")
    )
    h = conv(x, stem)
    skips = [h]
    for name in (n for n in names if "aux" not in n):
        h = block(torch.cat([h, skips.pop()], 1) if name[:3] == "dec" and "_block" in name else h, name)
        if name[:3] == "enc":
            skips.append(h)
    last = [n for n in names if "aux" in n] or ["out_norm", "out_conv"]
    return conv(F.silu(norm(h, last[0])), last[1])
