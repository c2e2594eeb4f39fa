"""`genlit project`: finds the codes at which a trained model comes nearest to images."""

import argparse

from genlit.cli.arguments import FILES, add_events, add_out, add_search, parser_for

DESCRIPTION = """\
Find the code at which a trained model comes nearest to an image, by gradient descent from several
codes: for a GAN, which has no codes of images, as well as for a VAE (Generative Visual Manipulation
on the Natural Image Manifold, Zhu et al., 2016). The picture has in each row an image, what the
model makes of the code found, and their absolute difference, black where they agree. The array has
the images that the model makes, (n, *shape), and PATH.npz beside it the codes (n, D) and the sums
of squared errors (n,). Prints the mean squared error of a pixel of each image, and their mean with
its standard error.
"""

EXAMPLES = f"""\
{FILES}
examples:
  genlit project runs/gan/20250102-030405
  genlit project RUN --file digits.npy --restarts 16 --weight 0
  genlit project RUN --split val --n 4 --observed box
"""


def main(args: list[str]) -> None:
    """Runs the command."""
    parser = parser_for("project", DESCRIPTION, EXAMPLES)
    add_search(
        parser,
        "searches for each code, of which the best counts; all begin at codes that the model "
        "draws, but the first at the code of the image, if the model has one",
        "the middle of all codes",
    )
    parser.add_argument(
        "--observed", metavar="MASK",
        help="which pixels count: half (not the lower half), box (not a box in the middle), "
        "random:0.5, or PATH of a PNG that is white where pixels count and black where they do "
        "not, or of a .npy that is 1 and 0 there; the picture is grey where they do not "
        "(default: all count)",
    )  # fmt: skip
    add_events(parser, "how many images (default: 8 of a split, all of a file)")
    add_out(parser, "project")
    run(parser.parse_args(args))


def run(options: argparse.Namespace) -> None:
    """Does what the options say."""
    import torch

    from genlit.callbacks.pictures import gaps_marked
    from genlit.cli.asking import ask_for_events, find_events, mean_and_error, open_model
    from genlit.cli.outputs import Output
    from genlit.cli.projecting import project_events
    from genlit.data.masks import observed
    from genlit.latent import Search
    from genlit.protocols import Generates, require

    place, model = open_model(options.run, options.device)
    require(model, "images to compare with", Generates)
    output, seed = Output(options.out, place.folder, "project", named=True), options.seed
    x = find_events(options, place, model, default=8)
    known = torch.ones_like(x, dtype=torch.bool)
    if options.observed is not None:
        known = observed(options.observed, place.shape, len(x), seed)
    search = Search(options.weight, options.steps)
    codes, errors = project_events(model, x, known, options.restarts, search, seed)
    answer = ask_for_events(
        model, lambda p: model.decode(codes[p].to(model.device)), len(x), "decode", seed
    )
    difference = torch.where(known, (answer - x).abs(), 0.0)
    columns = {"image": gaps_marked(x, known), "projection": answer, "difference": difference}
    output.save_named(answer, columns, codes=codes, errors=errors)
    per_pixel = errors / known.flatten(1).sum(1).clamp_min(1)
    for k, error in enumerate(per_pixel.tolist()):
        print(f"image {k}: mean squared error {error:.4g}")
    print(f"mean squared error {mean_and_error(per_pixel)} per pixel, {len(x)} images")
