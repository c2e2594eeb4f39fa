"""Models and data so small that whole trainings are part of a test."""

from functools import partial
from pathlib import Path

import lightning as L
import torch

from genlit.autoregressive import FVSBN, MADE, NADE, PixelCNN
from genlit.boltzmann import (
    CD,
    DBM,
    DBN,
    PCD,
    RBM,
    BoltzmannMachine,
    Centred,
    Enhanced,
    FastPCD,
    LateralBoltzmannMachine,
    ParallelTempering,
    PersistentChains,
    TrajectoryTempering,
)
from genlit.data.images import ImageData
from genlit.data.mnist import BUNDLED, find, read_images
from genlit.data.semi_supervised import SemiSupervised
from genlit.discriminative import Classifier
from genlit.estimators import (
    Annealed,
    AnnealedBound,
    ConservativeSampling,
    Estimator,
    Exact,
    LowerBound,
)
from genlit.flow import NICE, DequantizedFlow, RealNVP, ResidualConv
from genlit.gan import (
    GAN,
    R1,
    R2,
    AdaptiveAugmentation,
    AuxiliaryClassifier,
    Classes,
    ConditionalGAN,
    GradientPenalty,
    InstanceNoise,
    RelativisticCost,
    SemiSupervisedGAN,
    WeightClipping,
)
from genlit.gsn import GSN
from genlit.likelihoods import Categorical
from genlit.model import GenerativeModel
from genlit.networks import (
    MLP,
    DCGANDiscriminator,
    DCGANGenerator,
    GridDecoder,
    GridEncoder,
    NoisyMLP,
)
from genlit.protocols import Bounded, Density, EnergyBased, EnergyBounded, LatentMixture
from genlit.vae import (
    IAF,
    IWAE,
    VAE,
    VQVAE,
    Autoencoder,
    ConditionalVAE,
    DenoisingAutoencoder,
    LatentClassifier,
    SemiSupervisedVAE,
    StackedVAE,
    StochasticLayer,
    VampPrior,
)


class Digits(ImageData):
    """A few digits: twelve batches an epoch."""

    shape = (1, 28, 28)

    def read(self):
        images = read_images(find(BUNDLED, "t10k"))
        return {"train": images[:240], "val": images[240:300], "test": images[300:345]}

    def read_conditions(self):
        classes = torch.eye(10).repeat(35, 1)
        return {"train": classes[:240], "val": classes[240:300], "test": classes[300:345]}


def mlp(inputs, outputs):
    return MLP(inputs, outputs, (16,))


def dcgan_generator(inputs, outputs):
    return DCGANGenerator(inputs, outputs, 4)


def dcgan_discriminator(inputs, outputs):
    return DCGANDiscriminator(inputs, outputs, 4)


def vae(**arguments) -> GenerativeModel:
    return VAE(Digits.shape, 4, mlp, mlp, **arguments)


def rbm(**arguments) -> GenerativeModel:
    settings = {"sampler": partial(PCD, particles=20), "sample_steps": 5} | arguments
    return RBM(Digits.shape, hidden=16, **({"lr_decay": True} | settings))


def dbm(**arguments) -> GenerativeModel:
    settings = {"particles": 20, "sample_steps": 5, "weight_decay": 0.01, "lr_decay": True}
    return DBM(Digits.shape, (12, 8), **(settings | arguments))


def dbn(**arguments) -> GenerativeModel:
    """One epoch for each stage; the second layer begins as the first upside down."""
    sampler = partial(PCD, particles=20)
    settings = {"epochs": (1, 1, 1), "sample_steps": 5, "weight_decay": 0.01} | arguments
    return DBN(Digits.shape, (6, 790), sampler=sampler, gradient=Centred, **settings)


def bm(**arguments) -> GenerativeModel:
    return BoltzmannMachine(Digits.shape, sample_steps=1, **arguments)


def bm_hidden(**arguments) -> GenerativeModel:
    settings = {"objective": partial(PersistentChains, particles=20), "sample_steps": 1} | arguments
    return BoltzmannMachine(Digits.shape, hidden=16, reach=1, **settings)


def bm_lateral(**arguments) -> GenerativeModel:
    settings = {"objective": partial(PersistentChains, particles=20), "sample_steps": 1} | arguments
    return LateralBoltzmannMachine(Digits.shape, hidden=16, visible_couplings=False, **settings)


def gan(**arguments) -> GenerativeModel:
    settings = {"discriminator_steps": 2, "ema_decay": 0.9} | arguments
    return GAN(Digits.shape, 8, dcgan_generator, dcgan_discriminator, **settings)


def gan_penalized(**arguments) -> GenerativeModel:
    """All that keeps count of something: lazy penalties, fading noise, a rate that falls."""
    settings = {
        "cost": RelativisticCost(),
        "penalties": [R1(0.1), R2(0.1), GradientPenalty(0.1, every=2)],
        "views": [InstanceNoise(0.1, steps=50), AdaptiveAugmentation(images=500, start=0.1)],
        "ema_decay": 0.9,
        "ema_rampup": 0.1,
        "lr_decay": True,
    }
    return GAN(Digits.shape, 8, dcgan_generator, mlp, **(settings | arguments))


def gan_conditional(**arguments) -> GenerativeModel:
    condition = Classes(10, AuxiliaryClassifier)
    settings = {"generator_steps": 2, "clipping": WeightClipping(0.1)} | arguments
    return ConditionalGAN(
        Digits.shape, condition, latent=4, generator=mlp, discriminator=mlp, **settings
    )


def noisy(inputs, outputs):
    return NoisyMLP(inputs, outputs, (16, 8))


def ssgan(**arguments) -> GenerativeModel:
    settings = {"average_decay": 0.9} | arguments
    return SemiSupervisedGAN(
        Digits.shape, 10, latent=4, generator=mlp, discriminator=noisy, **settings
    )


def m2(**arguments) -> GenerativeModel:
    settings = {"classifier": noisy, "encoder": mlp, "decoder": mlp, "least": 0.05} | arguments
    return SemiSupervisedVAE(Digits.shape, 10, 4, features=8, share=0.3, **settings)


def m1(**arguments) -> GenerativeModel:
    """One epoch for the VAE, the rest for the classifier."""
    settings = {"encoder": mlp, "decoder": mlp, "classifier": noisy, "lr_decay": True} | arguments
    return LatentClassifier(Digits.shape, 10, 4, 1, **settings)


def m1m2(**arguments) -> GenerativeModel:
    settings = {"codes": 4, "epochs": 1, "encoder": mlp, "decoder": mlp, "classifier": mlp}
    settings |= {"latent": 3, "features": 8, "top_encoder": mlp, "top_decoder": mlp} | arguments
    return StackedVAE(Digits.shape, classes=10, **settings)


def conv(inputs, outputs):
    return ResidualConv(inputs, outputs, 4, 1, 2)


def nice(shape=Digits.shape, **arguments) -> GenerativeModel:
    return NICE(shape, 2, mlp, **({"lr_decay": True} | arguments))


def realnvp(**arguments) -> GenerativeModel:
    return RealNVP(Digits.shape, 2, 2, conv, **arguments)


def dequantized_flow(**arguments) -> GenerativeModel:
    return DequantizedFlow(Digits.shape, nice, 1, conv, **arguments)


def made(**arguments) -> GenerativeModel:
    settings = {"orderings": 3, "direct": True, "lr_decay": True} | arguments
    return MADE(Digits.shape, (32, 16), **settings)


def gsn(**arguments) -> GenerativeModel:
    return GSN(Digits.shape, (16, 12), walkback=3, sample_steps=5, **arguments)


def vqvae(**arguments) -> GenerativeModel:
    networks = (partial(GridEncoder, width=4, blocks=1), partial(GridDecoder, width=4, blocks=1))
    return VQVAE(Digits.shape, 8, 4, *networks, prior=code_prior, **arguments)


def code_prior(shape):
    return PixelCNN(shape, 2, 1, 3, 3, 4, partial(Categorical, levels=8))


MODELS = {"rbm": rbm, "vae": vae, "dbm": dbm, "dbn": dbn}
MODELS |= {"bm": bm, "bm_hidden": bm_hidden, "bm_lateral": bm_lateral}
MODELS |= {
    "rbm_cd": partial(rbm, sampler=CD, gradient=Enhanced),
    "rbm_fast": partial(rbm, sampler=partial(FastPCD, particles=20), gradient=Centred),
    "rbm_pt": partial(rbm, sampler=partial(ParallelTempering, particles=20, temperatures=4)),
    "rbm_ptt": partial(rbm, sampler=partial(TrajectoryTempering, particles=20, snapshots=4)),
}

VAES = {
    "vae_iaf": partial(vae, posterior=partial(IAF, steps=1, hidden=8, context=3), lr_decay=True),
    "iwae_vamp": partial(
        vae, prior=partial(VampPrior, pseudo_inputs=5), objective=partial(IWAE, 3)
    ),
    "vae_deep": partial(vae, prior=partial(StochasticLayer, units=2, encoder=mlp, decoder=mlp)),
    "conditional_vae": partial(ConditionalVAE, Digits.shape, 10, 4, mlp, mlp),
    "vqvae": vqvae,
    "autoencoder": partial(Autoencoder, Digits.shape, 4, mlp, mlp),
    "dae": partial(DenoisingAutoencoder, Digits.shape, 4, mlp, mlp, sample_steps=3),
}
AUTOREGRESSIVE = {
    "fvsbn": partial(FVSBN, Digits.shape, lr_decay=True),
    "nade": partial(NADE, Digits.shape, hidden=8),
    "made": made,
    "pixelcnn": partial(PixelCNN, Digits.shape, 2, 2, 3, 3, 4),
}
FLOWS = {"nice": nice, "realnvp": realnvp, "dequantized_flow": dequantized_flow}
GANS = {"gan": gan, "gan_penalized": gan_penalized, "gan_conditional": gan_conditional}
GANS |= {"ssgan": ssgan}
FEW_LABELS = {"m1": m1, "m2": m2, "m1m2": m1m2}
FEW_LABELS |= {"classifier": partial(Classifier, Digits.shape, 10, noisy)}
MODELS |= FEW_LABELS
MODELS |= GANS | VAES | AUTOREGRESSIVE | FLOWS | {"gsn": gsn}
PROTOCOLS = dict.fromkeys([*GANS, "dequantized_flow"], "none")
PROTOCOLS |= {"nice": "dequantized", "realnvp": "dequantized"}
# Of plain descent, where gradients are as large as nats of grey pixels are many.
RATES = {"nice": 1e-7, "realnvp": 1e-7, "dequantized_flow": 1e-7, "ssgan": 0.01}


def estimator(model: GenerativeModel) -> Estimator | None:
    """How the likelihood of a model is found; None for one that has none."""
    ways = {
        EnergyBased: Annealed(20, 10),
        EnergyBounded: AnnealedBound(3, 20, 10),
        Bounded: LowerBound(3),
        Density: Exact(),
        LatentMixture: ConservativeSampling(20, 10),
    }
    return next((way for protocol, way in ways.items() if isinstance(model, protocol)), None)


def digits(name: str, batch_size: int = 20) -> ImageData:
    images = Digits(batch_size, eval_batch_size=10, binarize=PROTOCOLS.get(name, "dynamic"))
    few = name in FEW_LABELS or name == "ssgan"
    return SemiSupervised(images, 30, labelled_batch_size=batch_size) if few else images


def trainer(folder: Path, *callbacks: L.Callback, **options) -> L.Trainer:
    settings = {
        "max_epochs": 3,
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
        "log_every_n_steps": 5,
    }
    return L.Trainer(default_root_dir=folder, callbacks=[*callbacks], **(settings | options))
