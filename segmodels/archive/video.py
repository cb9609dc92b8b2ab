"""Frames of videos as photos: one of each scene, so that whoever is in a scene counts once.

A scene ends at a cut: where a frame differs from the one before by more than `CUT` of 100, as FFmpeg's filter `scdet`
measures it (mean absolute difference of the pixels, less that of the frame before). Of each scene the sharpest of some
frames is taken, by the variance of the Laplacian.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from segmodels.archive.metadata import Entry, Metadata
from segmodels.archive.place import ArchiveError
from segmodels.archive.sources import VIDEO_SUFFIXES, Found, Rejected, Source
from segmodels.extras import missing_extra
from segmodels.photo import PhotoError

if TYPE_CHECKING:
    import av

__all__ = ["CUT", "MAX_FRAMES", "MAX_MINUTES", "Frame", "best_frames", "with_videos"]

CUT = 10.0
"""Least score of FFmpeg's `scdet`, 0 to 100, at which a new scene begins; 10 is its default."""

MAX_MINUTES = 180
"""Minutes of a video that are read."""

MAX_FRAMES = 2000
"""Most frames that are taken of a video."""

_WIDTH = 320  # pixels of the frames that are compared
_PER_SECOND = 5  # frames a second that are judged by their sharpness
_LONGEST = 10.0  # seconds into a scene in which its frame is looked for
_QUALITY = 92


@dataclass(frozen=True)
class Frame:
    """A frame that stands for a scene.

    Args:
        seconds: Time from the start of the video.
        scene: Number of the scene, from 1.
    """

    seconds: float
    scene: int


def with_videos(found: Found, folder: Path, every: float | None = None) -> tuple[Found, Metadata | None]:
    """Adds the frames of the videos of a folder to its photos.

    A frame is called after its video and time, as `show.mp4/0083.40s.jpg`, and has the tags `video`, `seconds` and
    `scene`. A video that cannot be read is rejected.

    Args:
        found: What the folder holds.
        folder: The folder.
        every: Seconds after which a scene without a cut counts as another one; None for no such limit.

    Raises:
        ArchiveError: If PyAV is not installed.
    """
    if problem := missing_extra("video", "av", what="Reading videos"):
        raise ArchiveError(problem)
    sources, rejected, entries, notes = list(found.sources), list(found.rejected), list[Entry](), list(found.notes)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not name.lower().endswith(VIDEO_SUFFIXES) or any(part.startswith(".") for part in name.split("/")):
            continue
        try:
            frames, note = best_frames(path, name, every)
        except PhotoError as error:
            rejected.append(Rejected(name, str(error)))
            continue
        notes += [note] if note else []
        for frame in frames:
            own = f"{name}/{frame.seconds:07.2f}s.jpg"
            sources.append(Source(own, partial(_read, path, name, frame.seconds)))
            tags = {"video": name, "seconds": f"{frame.seconds:.2f}", "scene": str(frame.scene)}
            entries.append(Entry(own, tags))
    return replace(found, sources=sources, rejected=rejected, notes=notes), Metadata(entries) if entries else None


def best_frames(path: Path, name: str, every: float | None = None) -> tuple[list[Frame], str]:
    """The frame of each scene of a video, and a sentence if not all of it was read.

    Args:
        path: The video.
        name: Name of the file, for messages.
        every: Seconds after which a scene without a cut counts as another one; None for no such limit.

    Raises:
        PhotoError: If it cannot be read, or has no picture.
    """
    best: list[tuple[float, float]] = []  # sharpness and time of the best frame of each scene
    start = last = -np.inf
    note = ""
    for seconds, score, grey in _scored(path, name):
        if seconds > MAX_MINUTES * 60 or len(best) > MAX_FRAMES:
            most = f"at most {MAX_MINUTES} min and {MAX_FRAMES:,} frames of a video are taken"
            note = f"{name} was read up to {seconds / 60:,.0f} min, as {most}."
            break
        if not best or score >= CUT or (every and seconds - start >= every):
            best.append((-1.0, seconds))
            start = last = seconds
        elif seconds - last < 1 / _PER_SECOND or seconds - start > _LONGEST:
            continue
        last = seconds
        sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).var())
        if sharpness > best[-1][0]:
            best[-1] = sharpness, seconds
    if not best:
        raise PhotoError(f"{name} has no frame that can be read. Export the video again, as MP4.")
    return [Frame(seconds, number) for number, (_, seconds) in enumerate(best[:MAX_FRAMES], 1)], note


def _scored(path: Path, name: str) -> Iterator[tuple[float, float, np.ndarray]]:
    """Time, score and grey pixels, reduced, of each frame."""
    import av

    try:
        with av.open(str(path)) as video:
            stream = _stream(video, name)
            graph = av.filter.Graph()
            steps = [
                graph.add_buffer(template=stream),
                graph.add("scale", f"{_WIDTH}:-2"),
                graph.add("format", "gray"),
                graph.add("scdet", f"t={CUT}"),
                graph.add("buffersink"),
            ]
            graph.link_nodes(*steps).configure()
            start = None
            for frame in video.decode(stream):
                graph.push(frame)
                judged: Any = graph.pull()
                if judged.time is not None:
                    start = judged.time if start is None else start
                    yield judged.time - start, float(judged.metadata.get("lavfi.scd.score", 0)), judged.to_ndarray()
    except PhotoError:
        raise
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _broken(name, error) from error


def _read(path: Path, name: str, seconds: float) -> bytes:
    """The frame at a time, as JPEG, upright."""
    import av

    try:
        with av.open(str(path)) as video:
            stream = _stream(video, name)
            start = (stream.start_time or 0) * float(stream.time_base or 1)
            video.seek(int(max(0.0, seconds + start - 0.01) / float(stream.time_base or 1)), stream=stream)
            for frame in video.decode(stream):
                if frame.time is not None and frame.time - start >= seconds - 0.005:
                    image = frame.to_image()
                    image = image.rotate(frame.rotation, expand=True) if frame.rotation else image
                    out = io.BytesIO()
                    image.save(out, "JPEG", quality=_QUALITY)
                    return out.getvalue()
    except PhotoError:
        raise
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _broken(name, error) from error
    raise PhotoError(f"{name} has no frame at {seconds:.2f} s. Export the video again, as MP4.")


def _stream(video: av.container.InputContainer, name: str) -> av.VideoStream:
    if not video.streams.video:
        raise PhotoError(f"{name} has no picture, only sound. Take it out of the folder.")
    stream = video.streams.video[0]
    stream.thread_type = "AUTO"
    return stream


def _broken(name: str, error: Exception) -> PhotoError:
    reason = str(getattr(error, "strerror", "") or error).partition("\n")[0].rstrip(".")
    return PhotoError(f"{name} is a video that cannot be read ({reason}). Export it again, as MP4.")
