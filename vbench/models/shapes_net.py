"""The network of the ``shapes`` detector: a small one-stage, anchor-free detector for frames of 640 x 360.

One prediction for each cell of 8 x 8 px, as in FCOS (Tian et al., ICCV 2019): class scores and the distances
from the cell's centre to the four sides of the box. Features of cells of 32 and 16 px are added
top-down, as in FPN (Lin et al., CVPR 2017), for objects larger than a cell sees.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - the name the field knows it by
from torch import Tensor, nn

ARCHITECTURE = "shapes-1"
"""Changes whenever older weights no longer fit, or would give other detections."""
WIDTH, HEIGHT, STRIDE = 640, 360, 8
COLUMNS, ROWS = WIDTH // STRIDE, HEIGHT // STRIDE
MAX_LOG_DISTANCE = 3.7
"""Boxes reach at most STRIDE * exp(3.7) = 323 px from a cell's centre: half the frame."""
PRIOR = 0.01
"""Class probability that an untrained network gives, so that background does not swamp the loss
(focal loss: Lin et al., ICCV 2017, section 3.3)."""


class ConvUnit(nn.Module):
    """Convolution, batch normalisation and ReLU; ``fuse_batch_norm`` makes the first two one."""

    def __init__(self, channels_in: int, channels_out: int, size: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, size, stride, padding=1, bias=False)
        self.norm: nn.BatchNorm2d | None = nn.BatchNorm2d(channels_out)

    def forward(self, features: Tensor) -> Tensor:
        """float[N, in, H, W] -> float[N, out, H / stride, W / stride]."""
        features = self.conv(features)
        if self.norm is not None:
            features = self.norm(features)
        return F.relu_(features)

    def fuse_batch_norm(self) -> None:
        """Put the normalisation into the convolution's weights and a bias; for inference alone."""
        norm = self.norm
        assert norm is not None
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
        self.conv.weight = nn.Parameter(self.conv.weight.detach() * gain[:, None, None, None])
        self.conv.bias = nn.Parameter(norm.bias.detach() - norm.running_mean * gain)
        self.norm = None


class ShapesNet(nn.Module):
    """float[N, 3, 360, 640], 0 to 1 -> float[N, classes + 4, 45, 80]: class logits, then log distances."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.stride_4 = ConvUnit(3, 32, size=6, stride=4)
        self.stride_8 = nn.Sequential(ConvUnit(32, 48, stride=2), ConvUnit(48, 48))
        self.stride_16 = nn.Sequential(ConvUnit(48, 96, stride=2), ConvUnit(96, 96), ConvUnit(96, 96))
        self.stride_32 = nn.Sequential(ConvUnit(96, 128, stride=2), ConvUnit(128, 128))
        self.lateral_32 = nn.Conv2d(128, 96, 1)
        self.merge_16 = ConvUnit(96, 96)
        self.lateral_16 = nn.Conv2d(96, 48, 1)
        self.merge_8 = nn.Sequential(ConvUnit(48, 64), ConvUnit(64, 64))
        self.predict = nn.Conv2d(64, classes + 4, 1)
        assert self.predict.bias is not None
        with torch.no_grad():
            self.predict.weight.mul_(0.1)
            self.predict.bias[:classes] = -torch.log(torch.tensor((1 - PRIOR) / PRIOR))
            self.predict.bias[classes:] = 1.0

    def forward(self, pictures: Tensor) -> Tensor:
        """Predict for each cell; see the class for shapes."""
        fine = self.stride_8(self.stride_4(pictures))
        middle = self.stride_16(fine)
        coarse = self.stride_32(middle)
        middle = self.merge_16(middle + _enlarge(self.lateral_32(coarse), middle))
        predictions: Tensor = self.predict(self.merge_8(fine + _enlarge(self.lateral_16(middle), fine)))
        return predictions

    def fuse_batch_norm(self) -> "ShapesNet":
        """Fold every normalisation away, in place; returns itself."""
        for module in self.modules():
            if isinstance(module, ConvUnit):
                module.fuse_batch_norm()
        return self


def decode(predictions: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Predictions [N, classes + 4, 45, 80] -> logits [N, 3600, classes] and boxes [N, 3600, 4] in px."""
    flat = predictions.flatten(2).transpose(1, 2)
    distances = flat[..., classes:].clamp(max=MAX_LOG_DISTANCE).exp() * STRIDE
    centres = cell_centres(predictions.device, distances.dtype)
    return flat[..., :classes], torch.cat((centres - distances[..., :2], centres + distances[..., 2:]), -1)


def cell_centres(device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Centres (x, y) of the cells in px, row by row: float[3600, 2]."""
    x = (torch.arange(COLUMNS, device=device, dtype=dtype) + 0.5) * STRIDE
    y = (torch.arange(ROWS, device=device, dtype=dtype) + 0.5) * STRIDE
    return torch.stack((x.repeat(ROWS), y.repeat_interleave(COLUMNS)), -1)


def _enlarge(coarse: Tensor, like: Tensor) -> Tensor:
    """Double both sides, cut to the size of ``like`` (an odd side was rounded up on the way down)."""
    doubled: Tensor = F.interpolate(coarse, scale_factor=2, mode="nearest")
    return doubled[:, :, : like.shape[2], : like.shape[3]]
