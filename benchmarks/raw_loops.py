"""The training steps of three models as a reader would write them without any framework.

Each function returns a closure that does one step, data included: batches are cut from uint8
images, binarized by comparing with uniform noise, and handed to the mathematics.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

Step = Callable[[], None]


def batches(images: Tensor, size: int) -> Iterator[Tensor]:
    """Shuffled batches without end."""
    while True:
        for index in torch.randperm(len(images)).split(size):
            if len(index) == size:
                yield images[index]


def binary(x: Tensor) -> Tensor:
    """Each pixel 1 with probability its intensity."""
    return (torch.rand(x.shape) * 255 < x).float()


def rbm(images: Tensor, hidden: int = 500, size: int = 100, lr: float = 0.05) -> Step:
    """CD-1 with gradients by hand."""
    pixels = images[0].numel()
    W, b, c = 0.01 * torch.randn(pixels, hidden), torch.zeros(pixels), torch.zeros(hidden)
    for parameter in (W, b, c):
        parameter.grad = torch.zeros_like(parameter)
    optimizer = torch.optim.SGD([W, b, c], lr)
    stream = batches(images, size)

    @torch.no_grad()
    def step() -> None:
        v = binary(next(stream)).flatten(1)
        h = torch.addmm(c, v, W).sigmoid_()
        v1 = torch.addmm(b, (torch.rand_like(h) < h).float(), W.T).sigmoid_()
        v1 = (torch.rand_like(v1) < v1).float()
        h1 = torch.addmm(c, v1, W).sigmoid_()
        W.grad = (v1.T @ h1 - v.T @ h) / size
        b.grad = (v1 - v).mean(0)
        c.grad = (h1 - h).mean(0)
        optimizer.step()

    return step


def vae(images: Tensor, fused: bool, latent: int = 50, width: int = 200, size: int = 100) -> Step:
    """One step up the evidence lower bound; Adam is fused into one kernel, or torch's default."""
    pixels = images[0].numel()

    def mlp(i: int, o: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(i, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, o)
        )

    encoder, decoder = mlp(pixels, 2 * latent), mlp(latent, pixels)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-3, fused=fused)
    stream = batches(images, size)

    def step() -> None:
        x = binary(next(stream)).flatten(1)
        mean, log_std = encoder(x).chunk(2, -1)
        z = mean + log_std.exp() * torch.randn_like(mean)
        logits = decoder(z)
        reconstruction = (nnf.softplus(logits) - x * logits).sum() / size
        kl = 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum() / size
        optimizer.zero_grad()
        (reconstruction + kl).backward()
        optimizer.step()

    return step


def gan(
    images: Tensor, generator: nn.Module, discriminator: nn.Module, latent: int, k: int = 1,
    r1: float = 0.0,
) -> Step:  # fmt: skip
    """A round of k steps of the discriminator and one of the generator, with batches of 64."""
    adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
    players = generator, discriminator
    of_generator, of_discriminator = (torch.optim.Adam(p.parameters(), **adam) for p in players)
    stream = batches(images, 64)

    def step() -> None:
        for _ in range(k):
            x = (next(stream) / 255).requires_grad_(r1 > 0)
            with torch.no_grad():
                fake = generator(torch.randn(64, latent)).sigmoid()
            of_discriminator.zero_grad()
            real, false = discriminator(x), discriminator(fake)
            loss = nnf.softplus(-real).mean() + nnf.softplus(false).mean()
            if r1:
                (slope,) = torch.autograd.grad(real.sum(), x, create_graph=True)
                loss = loss + r1 / 2 * slope.flatten(1).square().sum(1).mean()
            loss.backward()
            of_discriminator.step()

        discriminator.requires_grad_(False)
        of_generator.zero_grad()
        fake = generator(torch.randn(64, latent)).sigmoid()
        nnf.softplus(-discriminator(fake)).mean().backward()
        of_generator.step()
        discriminator.requires_grad_(True)

    return step
