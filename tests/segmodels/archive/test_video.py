"""Frames of videos that are made here: scenes of moving noise, with cuts between them."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from segmodels.archive import video as module
from segmodels.archive.place import ArchiveError
from segmodels.archive.sources import find_sources
from segmodels.archive.video import best_frames, with_videos
from segmodels.photo import PhotoError, open_photo

COLOURS = ((220, 30, 30), (30, 200, 40), (40, 40, 210))


def film(path: Path, *scenes: tuple[int, int, int], seconds: float = 1.0, rate: int = 10) -> Path:
    """A scene for each colour, with a square that moves; the middle frames are sharp, the others blurred."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 96, 64, "yuv420p", 2_000_000
        for colour in scenes:
            count = int(seconds * rate)
            for at in range(count):
                pixels = np.full((64, 96, 3), colour, np.uint8)
                pixels[20:40, 10 + at * 3 : 30 + at * 3] = 255
                if abs(at - count // 2) > 1:
                    pixels = cv2.GaussianBlur(pixels, (0, 0), 3)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        out.mux(stream.encode())
    return path


def test_each_scene_gives_its_sharpest_frame_with_file_and_time(tmp_path: Path) -> None:
    (tmp_path / "shows").mkdir()
    film(tmp_path / "shows" / "ss24.mp4", *COLOURS)
    found, metadata = with_videos(find_sources(tmp_path), tmp_path)
    assert metadata and [entry.tags["scene"] for entry in metadata.entries] == ["1", "2", "3"]
    second = metadata.entries[1]
    assert (second.tags["video"], second.tags["scene"]) == ("shows/ss24.mp4", "2")
    assert 1.4 <= float(second.tags["seconds"]) <= 1.6
    assert second.name == found.sources[1].name == f"shows/ss24.mp4/000{second.tags['seconds']}s.jpg"
    for source, colour in zip(found.sources, COLOURS, strict=True):
        photo = open_photo(source.read())
        assert photo.shape == (64, 96, 3) and np.abs(photo[:10].mean((0, 1)) - colour).max() < 40
        assert photo.max() > 245, "the sharp one"


def test_a_long_shot_without_cuts_is_divided_if_asked(tmp_path: Path) -> None:
    path = film(tmp_path / "runway.mp4", COLOURS[0], seconds=3)
    assert [frame.scene for frame in best_frames(path, path.name)[0]] == [1]
    assert [round(frame.seconds) for frame in best_frames(path, path.name, every=1.0)[0]] in (
        [0, 2, 2],
        [0, 1, 2],
        [1, 2, 3],
    )


def test_the_length_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mp4", *COLOURS)
    monkeypatch.setattr(module, "MAX_FRAMES", 2)
    frames, note = best_frames(path, "a.mp4")
    assert len(frames) == 2 and note.startswith("a.mp4 was read up to 0 min")


def test_a_bad_video_is_rejected_with_a_sentence(tmp_path: Path) -> None:
    whole = film(tmp_path / "good.mp4", COLOURS[0])
    (tmp_path / "text.mp4").write_bytes(b"no video " * 100)
    (tmp_path / "empty.mov").write_bytes(b"")
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:300])
    with av.open(str(tmp_path / "sound.m4v"), "w", format="wav") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
    found, _ = with_videos(find_sources(tmp_path), tmp_path)
    assert len(found.sources) == 1
    reasons = dict(found.rejected)
    assert set(reasons) == {"text.mp4", "empty.mov", "cut.mp4", "sound.m4v"}
    assert reasons["sound.m4v"] == "sound.m4v has no picture, only sound. Take it out of the folder."
    for name in ("text.mp4", "empty.mov", "cut.mp4"):
        assert reasons[name].startswith(f"{name} is a video that cannot be read (")
    whole.unlink()
    with pytest.raises(PhotoError, match="good.mp4 is a video that cannot be read"):
        found.sources[0].read()


def test_without_the_extra_the_sentence_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_sources(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ArchiveError, match=r'Reading videos needs av.*"garmentscope\[video\]"'):
        with_videos(found, tmp_path)
