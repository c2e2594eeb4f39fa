"""Films of pictures whose colours are known."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from genlit.cli.film import LINE, main, spread
from genlit.runs import RunError


def picture(run, name, colour, size=(20, 12)):
    (run / "samples").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(run / "samples" / f"{name}.png")


@pytest.fixture
def run(tmp_path):
    """Five pictures, of which one was drawn again, and some of other kinds."""
    folder = tmp_path / "run"
    for epoch in range(1, 6):
        picture(folder, f"epoch-{epoch:04d}", (40 * epoch,) * 3)
    picture(folder, "epoch-0002-2", (7, 7, 7))
    picture(folder, "scatter-epoch-0001", (200, 30, 30))
    picture(folder, "scatter-epoch-0010", (30, 30, 200))
    picture(folder, "sample-1", (0, 0, 0))
    return folder


def film(path):
    """The frames of a GIF as (height, width, 3), and the milliseconds of each."""
    with Image.open(path) as gif:
        frames, delays = [], []
        for k in range(getattr(gif, "n_frames", 1)):
            gif.seek(k)
            frames.append(np.asarray(gif.convert("RGB")))
            delays.append(gif.info["duration"])
        assert gif.info["loop"] == 0
    return frames, delays


def test_a_film_has_a_frame_of_every_picture(run, capsys):
    main([str(run)])
    frames, delays = film(run / "samples" / "film.gif")
    levels = [int(frame[0, 0, 0]) for frame in frames]
    assert levels == [40, 7, 120, 160, 200]  # the newest picture of an epoch counts
    for frame, level in zip(frames, levels, strict=True):
        assert (frame[:12, :20] == level).all()
    assert {frame.shape for frame in frames} == {(12 + LINE, 20, 3)}
    assert delays == [500] * 5
    assert "5 of 5 pictures, 2.5 s" in capsys.readouterr().out


def test_every_frame_is_told_apart_by_its_epoch(tmp_path):
    for epoch in (1, 2, 10):
        picture(tmp_path, f"epoch-{epoch:04d}", (9, 9, 9), (80, 12))
    main([str(tmp_path)])
    frames, _ = film(tmp_path / "samples" / "film.gif")
    captions = [frame[12:] for frame in frames]
    assert len(captions) == 3
    assert all((caption < 100).any() and (caption[:, -20:] == 255).all() for caption in captions)
    assert all((a != b).any() for a, b in pairwise(captions))


def test_the_newest_picture_of_an_epoch_counts(tmp_path):
    for epoch in range(1, 7):
        for again in (1, 2, 9, 10):
            name = f"epoch-{epoch:04d}" + (f"-{again}" if again > 1 else "")
            picture(tmp_path, name, (10 * epoch + again,) * 3)
    main([str(tmp_path)])
    frames, _ = film(tmp_path / "samples" / "film.gif")
    assert [int(frame[0, 0, 0]) for frame in frames] == [10 * epoch + 10 for epoch in range(1, 7)]


def test_other_pictures_and_durations(run):
    main([str(run), "--prefix", "scatter", "--seconds", "3"])
    frames, delays = film(run / "samples" / "scatter-film.gif")
    assert [tuple(frame[0, 0]) for frame in frames] == [(200, 30, 30), (30, 30, 200)]
    assert delays == [1500, 1500]
    main([str(run), "--prefix", "scatter-", "--out", str(run / "mine.gif")])
    assert len(film(run / "mine.gif")[0]) == 2


def test_a_long_run_is_bounded(tmp_path):
    for epoch in range(1, 61):
        picture(tmp_path, f"epoch-{epoch:04d}", (4 * epoch,) * 3, (4, 4))
    main([str(tmp_path)])
    frames, delays = film(tmp_path / "samples" / "film.gif")
    assert len(frames) == 60
    assert 9_000 < sum(delays) <= 10_500
    main([str(tmp_path), "--seconds", "0.2", "--out", str(tmp_path / "short.gif")])
    frames, delays = film(tmp_path / "short.gif")
    assert sum(delays) == 200
    assert [int(f[0, 0, 0]) for f in (frames[0], frames[-1])] == [4, 240]
    assert spread([(k, tmp_path) for k in range(9)], 3) == [(k, tmp_path) for k in (0, 4, 8)]


def test_pictures_of_several_sizes_share_one_frame(tmp_path):
    picture(tmp_path, "epoch-0001", (10, 10, 10), (30, 8))
    picture(tmp_path, "epoch-0002", (20, 20, 20), (20, 16))
    main([str(tmp_path)])
    frames, _ = film(tmp_path / "samples" / "film.gif")
    assert {frame.shape for frame in frames} == {(16 + LINE, 30, 3)}
    assert (frames[1][:16, 20:] == 128).all()


def test_a_film_is_never_overwritten(run):
    main([str(run)])
    path = run / "samples" / "film.gif"
    before = path.read_bytes()
    with pytest.raises(RunError, match=r"film\.gif exists and is not overwritten: name .* --out"):
        main([str(run)])
    assert path.read_bytes() == before


def test_what_cannot_be_filmed_is_said(run, tmp_path, capsys):
    for args, told in (
        ([str(tmp_path / "nowhere")], "there is no run folder .*nowhere"),
        ([str(run), "--prefix", "chains"], "no pictures samples/chains-epoch-.*: leave --prefix"),
        ([str(tmp_path)], "SampleGrid in trainer.callbacks draws"),
    ):
        with pytest.raises(RunError, match=told):
            main(args)
    for path in (run / "samples").glob("epoch-*.png"):
        path.unlink()
    with pytest.raises(RunError, match="there are those of --prefix scatter"):
        main([str(run)])
    with pytest.raises(SystemExit):
        main([str(run), "--seconds", "0"])
    assert "'0' is not a number of seconds" in capsys.readouterr().err


def test_a_broken_picture_is_named_and_leaves_no_film(run):
    path = run / "samples" / "epoch-0004.png"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(RunError, match=r"epoch-0004\.png is no whole picture: move it away"):
        main([str(run)])
    assert not list((run / "samples").glob("*.gif"))
