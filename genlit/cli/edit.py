"""`genlit edit`: the user paints, and the image follows on what a trained model can make."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genlit.cli.arguments import not_negative, parser_for, positive

if TYPE_CHECKING:
    from genlit.editing.session import Means, Session
    from genlit.editing.settings import Settings

PORT = 8484
PHOTO_STEPS = 100  # of the search for a photo's code

DESCRIPTION = """\
Paint, and the image follows on what a trained model can make (Generative Visual Manipulation on the
Natural Image Manifold, Zhu et al., 2016). Prints the address of a page for a browser on this
machine: there one paints colour and edges, sees several candidates, goes back in the history,
morphs between its states, projects photos, and saves the session as JSON. Ctrl-C ends.

A model that makes images of codes (GAN, VAE) answers with codes near those before the stroke; one
that fills in what is missing (RBM, DBM, DBN, autoregressive, ...) holds painted pixels as they are.
"""

EXAMPLES = """\
With --replay there is no server: a session that the page saved is done again, or a list of strokes,
each {"tool": "brush", "colour": [1], "size": 3, "points": [[4, 6.5], [20, 6.5]]} with places in
pixels from the upper left corner; docs/editing.md has the rest. The same file gives the same image.
The picture has what is painted, grey where nothing is, and then the candidates; the array has
these, (n, *shape); the film goes through the states on the way there.

examples:
  genlit edit runs/vae/20250102-030405
  genlit edit RUN --photo mine.png --solver both
  genlit edit RUN --replay session.json --out seven
  genlit edit RUN --host 0.0.0.0            for others on the network: the address has a token
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("edit", DESCRIPTION, EXAMPLES)
    add_answers(parser)
    add_server(parser)
    parser.set_defaults(seed=None)
    options = parser.parse_args(args)
    if options.replay is None and options.out is not None:
        parser.error("--out is where --replay writes: the page saves by itself")
    if options.solver is not None and options.photo is None:
        parser.error("--solver is for --photo")
    run(options)


def add_answers(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say how the model answers."""
    parser.add_argument(
        "--candidates", type=positive, metavar="N", help="how many candidates (default: 8)"
    )
    parser.add_argument(
        "--steps", type=positive, metavar="K", help="steps of Adam after a stroke (default: 40)"
    )
    parser.add_argument(
        "--weight", type=not_negative, metavar="W",
        help="what the squared distance of a code to the one before the stroke, in standard "
        "deviations, costs beside the sum of squared errors of pixels (default: 0.01)",
    )  # fmt: skip
    parser.add_argument(
        "--by", choices=["codes", "filling"],
        help="how a model answers that can do both, as a VAE (default: codes)",
    )  # fmt: skip
    parser.add_argument(
        "--photo", type=Path, metavar="FILE",
        help="begins with a photo: a PNG of the size of the model's images, or a .npy with one; "
        "the page takes pictures of any size",
    )  # fmt: skip
    parser.add_argument(
        "--solver", choices=["optimize", "predict", "both"],
        help="how the photo's code is found: by search from drawn codes; by the model's encoder, "
        "or by a regression network that learns from the model's own images for some seconds; or "
        "by a search from what is predicted (default: both)",
    )  # fmt: skip
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="replays a session without a server, see below"
    )
    parser.add_argument(
        "--out", type=Path, metavar="PATH",
        help="what --replay writes: PATH.png, PATH.npy and PATH.gif, none of which may exist "
        "(default: RUN/samples/edit-1, or the next number that is free)",
    )  # fmt: skip


def add_server(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the server."""
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS",
        help="the address to listen on; on any other than this machine's own all requests need a "
        "token, and nothing is encrypted (default: 127.0.0.1)",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=int, default=PORT, metavar="P",
        help=f"the port; 0 takes one that is free (default: {PORT})",
    )  # fmt: skip
    parser.add_argument(
        "--token", default="", metavar="TEXT",
        help="what a request has to know (default: nothing on this machine, elsewhere a new one)",
    )  # fmt: skip
    parser.add_argument("--open", action="store_true", help="opens the page in the browser")


def run(options: argparse.Namespace) -> None:
    """Does what the options say."""
    from genlit.cli.asking import open_model
    from genlit.cli.outputs import Output
    from genlit.editing.session import Session

    place, model = open_model(options.run, options.device)
    model.requires_grad_(False)
    output = None
    if options.replay is not None:
        output = Output(options.out, place.folder, "edit", also=("gif",))
    document = {} if options.replay is None else read_document(options.replay)
    settings = settings_of(options, document, model)
    session = Session(lambda chosen: means_of(model, chosen), settings)
    if options.replay is not None:
        session = session.replayed(document)
    if options.photo is not None:
        session.act(photo_of(options, place.shape))
    if output is not None:
        write(session, output)
    else:
        serve(session, options, f"{place.folder}")


def read_document(path: Path) -> Any:
    """What a JSON file says; a list of actions is the document of a session that has no more.

    Raises:
        ValueError: If it is no JSON.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise ValueError(f"{path} is no JSON: give a session that the page saved") from None
    return {"actions": document} if isinstance(document, list) else document


def settings_of(options: argparse.Namespace, document: Any, model: Any) -> "Settings":
    """The settings: what the options say, or else the document, or else the model's own.

    What options say is put into the document, too.
    """
    from genlit.editing.settings import CODES, FILLING, Settings
    from genlit.protocols import Generates, Imputes, require

    require(model, "images that follow what is painted", Generates, Imputes)
    settings = Settings(by=CODES if isinstance(model, Generates) else FILLING)
    names = ("seed", "candidates", "steps", "weight", "by")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    if isinstance(document, dict) and isinstance(document.get("settings", {}), dict):
        document["settings"] = document.get("settings", {}) | given
    return settings.updated(given)


def means_of(model: Any, settings: "Settings") -> "Means":
    """What answers for a model."""
    from genlit.callbacks.pictures import is_image
    from genlit.cli.codes import drawn_spread
    from genlit.editing.codes import ByCodes
    from genlit.editing.filling import ByFilling
    from genlit.editing.photos import Projector
    from genlit.editing.session import Means
    from genlit.editing.settings import CODES
    from genlit.latent import Search
    from genlit.protocols import Generates, Imputes

    if not is_image(model.shape):
        raise ValueError(f"one paints on images, and this model's events have shape {model.shape}")
    if settings.by == CODES:
        if not isinstance(model, Generates):
            raise ValueError(f"{type(model).__name__} has no codes to search: take --by filling")
        spread, search = drawn_spread(model, settings.seed), Search(settings.weight, settings.steps)
        engine = ByCodes(model, settings.candidates, spread, search)
        projector = Projector(engine, search._replace(steps=PHOTO_STEPS), seed=settings.seed)
        return Means(engine, projector)
    if not isinstance(model, Imputes):
        raise ValueError(f"{type(model).__name__} cannot fill in what is free: take --by codes")
    return Means(ByFilling(model, settings.candidates), None)


def photo_of(options: argparse.Namespace, shape: tuple[int, ...]) -> dict[str, Any]:
    """The action that begins with the user's photo.

    Raises:
        DataError: If the file holds something else.
    """
    from genlit.cli.images import read_images
    from genlit.data.idx import DataError
    from genlit.editing.strokes import text_of

    photos = read_images(options.photo, shape)
    if len(photos) != 1:
        raise DataError(f"{options.photo} holds {len(photos)} images: give one")
    solver = options.solver or "both"
    return {"do": "photo", "solver": solver, "pixels": text_of(photos[0])}


def write(session: "Session", output: Any) -> None:
    """Writes the picture, the array and the film of a session, and says how candidates agree."""
    import torch

    from genlit.editing.pictures import film
    from genlit.editing.view import FRAMES

    now, painting = session.now, session.painting
    shown = torch.where(painting.painted, painting.colour, 0.5)[None]
    images = now.candidates.images
    stem = output.save(images, torch.cat([shown, images]), len(images) + 1)
    path = session.path()
    stops = path if len(path) > 1 else path * 2
    with stem.with_name(f"{stem.name}.gif").open("xb") as file:
        file.write(film(session.morph(stops, FRAMES)))
    print(f"{file.name}\ncandidates by {session.engine.order}:")
    for k, caption in enumerate(session.engine.captions(now.candidates, painting)):
        print(f"candidate {k}{', chosen' if k == now.chosen else ''}: {caption or 'drawn'}")


def serve(session: "Session", options: argparse.Namespace, title: str) -> None:
    """Serves a session until Ctrl-C."""
    import secrets
    import webbrowser

    from genlit.editing.server import LOOPBACK, Server

    token = options.token or ("" if options.host in LOOPBACK else secrets.token_urlsafe(12))
    with Server(session, title, options.host, options.port, token) as server:
        print(f"{server.address}\nCtrl-C ends; save the session on the page before", flush=True)
        if options.open:
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
