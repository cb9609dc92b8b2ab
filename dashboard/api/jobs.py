"""Jobs of the API: photos on their way into an archive."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.requests import Request

from dashboard.api.problems import ProblemError, problem_responses
from dashboard.api.waiting import principal_of
from dashboard.archive import jobs as archive_jobs
from dashboard.archive.jobs import Job, KeepingError
from dashboard.shared.principal import Principal
from segmodels.archive.ingest import Progress
from segmodels.archive.sentences import outcome_sentence
from segmodels.archive.store import ArchiveError

__all__ = ["JobStatus", "Jobs", "Refused", "job", "router", "stop_job"]

router = APIRouter(tags=["jobs"])

_MOST_LIVE = 8  # jobs under way, whose photos are all in memory
_SHOWN = 100  # rejected files that are named


class Refused(BaseModel):
    """A file that is not in the archive."""

    file: str
    reason: str


class JobStatus(BaseModel):
    """How far a job is."""

    id: str
    archive: str
    phase: Literal["waiting", "loading", "running", "done", "stopped", "failed"]
    done: int = Field(description="Files that were looked at.")
    total: int | None = Field(description="All files; null before the first one.")
    seconds_left: float | None = Field(description="Time left at the present speed; null where it is not known.")
    added: int = Field(description="Photos that are new in the archive; of a failed job at least as many.")
    known: int = Field(description="Photos that were in it already, or came twice.")
    rejected: list[Refused] = Field(description="The first files that are not in the archive.")
    rejected_count: int = Field(description="Number of files that are not in the archive.")
    message: str = Field(description="What became of it, or why it failed.")
    notes: list[str] = Field(description="Further sentences.")


class Jobs:
    """The jobs of callers, and those that a server before this one left over; their ids cannot be guessed."""

    def check(self) -> None:
        """Refuses further jobs where too many are under way.

        Raises:
            ProblemError: If there are too many.
        """
        if sum(job.live for job in list(archive_jobs.remembered.values())) >= _MOST_LIVE:
            raise ProblemError(
                "too-many-requests", "Too many photos are being added. Try again in 60 s.", (), {"Retry-After": "60"}
            )

    def begin(self, job: Job) -> str:
        """Starts a job.

        Returns:
            Its id.

        Raises:
            ProblemError: If photos are being added to its archive already.
        """
        self.check()
        try:
            archive_jobs.begin(job)
        except KeepingError as error:
            raise ProblemError("unavailable", str(error)) from error
        except ArchiveError as error:
            raise ProblemError("conflict", str(error)) from None
        archive_jobs.remember(job)
        return job.id

    def find(self, job_id: str, who: Principal) -> Job:
        """A job.

        Args:
            job_id: Id of the job.
            who: Who asks: where people sign in, others' jobs are not there for them.

        Raises:
            ProblemError: If there is none.
        """
        job = archive_jobs.remembered.get(job_id)
        if job is None or (who.person and not who.is_keeper and not who.owns(job.owner)):
            raise ProblemError("not-found", "There is no such job, or it ended long ago.")
        return job

    def status(self, job_id: str, who: Principal) -> JobStatus:
        """How far a job is.

        Raises:
            ProblemError: As `find` does.
        """
        job = self.find(job_id, who)
        report, progress = job.report, job.progress
        message = job.error
        if report:
            message = outcome_sentence(report, job.target.name)
        elif job.phase == "failed" and ("/" in message or "\\" in message):  # it names a folder of the server
            message = "The photos could not be added. The server's log says why."
        return JobStatus(
            id=job_id,
            archive=job.target.name,
            phase=job.phase,
            done=report.total if report else progress.done if progress else 0,
            total=report.total if report else progress.total if progress else None,
            seconds_left=None if report or not progress else progress.seconds_left,
            added=report.added if report else _added(job.phase, progress) if progress else 0,
            known=report.known + report.doubled if report else progress.known if progress else 0,
            rejected=[Refused(file=file, reason=reason) for file, reason in report.rejected[:_SHOWN]] if report else [],
            rejected_count=len(report.rejected) if report else progress.rejected if progress else 0,
            message=message,
            notes=list(report.notes) if report else [],
        )


def _added(phase: str, progress: Progress) -> int:
    """New photos: also those that are not in a part yet, as long as they may still be written."""
    return progress.written if phase == "failed" else progress.added


Id = Annotated[str, Path(description="Id of the job.", max_length=64)]


@router.get("/jobs/{job_id}", summary="How far a job is", operation_id="job", responses=problem_responses("not-found"))
async def job(request: Request, job_id: Id) -> JobStatus:
    """How far a job is, and what became of its photos."""
    jobs: Jobs = request.app.state.jobs
    return jobs.status(job_id, principal_of(request))


@router.delete(
    "/jobs/{job_id}", summary="Stop a job", operation_id="stop_job", responses=problem_responses("not-found")
)
async def stop_job(request: Request, job_id: Id) -> JobStatus:
    """Stops a job after the photos in work; those that are in the archive stay there."""
    jobs: Jobs = request.app.state.jobs
    who = principal_of(request)
    jobs.find(job_id, who).stop()
    return jobs.status(job_id, who)
