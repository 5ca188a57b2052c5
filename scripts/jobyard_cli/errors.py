"""The one family of exceptions that Jobyard raises for a mistake in what it is given or a service's refusal.

A command that ends with one prints its text and exits with its code: 2 for those marked (2), where the command itself
is wrong, and 1 for all others. Each is declared in the package that raises it.

JobyardError
    MissingExtraError
    UnavailableError
    UsageError (2)
        MissingTargetError (2)
        NewJobError (2)
        NodeGroupError (2)
        NotAPlatformRepoError (2)
        NotATeamRepoError (2)
        NothingToCheckError (2)
        UnknownAirflowError (2)
        UnknownEntryError (2)
        UnknownEnvironmentError (2)
        UnknownJobError (2)
        UnreadableSourceError (2)

    -- team repository: check, chart, plan, upgrade, usage
    AddTeamError
        TeamAnswersError (2)
    BaseRenderError
    CruftError
        AnswersRefusedError (2)
    InvalidFactoryFileError
    MissingBaseError
    MissingChartError
    MissingSuitesError
    NoMetricsError
    NotWrittenError
    NothingCollectedError
    RenderError
    UnreadableAdviceError
    UnreadableReleaseError
    UpgradeError

    -- runs on this machine: run
    LocalRunError
        DataFolderError
        EngineError
        ImageSourceMissingError
        InvalidOptionError (2)
        MissingValuesError
        MissingVariableError
        NoProgramError
        NoSuchRunError (2)
        OutputUnknownError
        RenderingError
        UnknownTaskError (2)

    -- runs in Airflow: runs, logs, trigger, backfill, clear
    RunsError
        AnswerLostError
        ConflictError
        DayError (2)
        NeedsYesError (2)
        NoClockError (2)
        NoRunsError
        NotReleasedError
        NotStartedError
        PausedJobError
        RefusedError
        RunExistsError
        UnknownJobInAirflowError (2)
        UnknownRunError (2)
        UnknownTaskOfRunError (2)

    -- platform repository and IAM
    AirflowRolesError
    IamRolesError
        UnknownPartError (2)
    IncompleteEnvironmentError
    InvalidRegionError
    InvalidValuesError
    MachinesError
    MissingAccountError
    MissingAirflowError
    MissingBucketError
    MissingClusterError
    MissingPlatformError
    OlderPlatformError
    TooManyResourcesError
    UnknownPipelinesError
    UnreadableArchiveError
    UnreadableValuesError

    -- images
    ImageError
        EmulationError
        ImageFileError
        ImageLayoutError
        ImageNameError
        ImageNotBuiltError
        InvalidPlatformError (2)
        MissingProgramError
        MissingRegistryError
        OtherCommitError
        RegistryError
        UncommittedError
        UnknownProcessorsError
        UnsafeMountError
    ImagesFileError

    -- releases: compile, publish, wait
    BucketNotVersionedError
    InvalidJobsError
    OlderReleaseError
    PushError
    ReleaseTooLargeError
    SetVariableError
    UnknownReleaseError
    UnreadableReleasesError

    -- services: Airflow, AWS, the git host
    AirflowError
        AirflowBusyError
        AirflowConflictError
        AirflowNotFoundError
        AirflowPermissionError
        BrokenDagsError
        MissingPoolError
        NotImportableError
    AirflowTimeoutError
        ReleaseTimeoutError
    AwsClientError
    CommentError
        CommentBusyError
    MissingTokenError
    NoMergeRequestError
    StoreError
        StoreBusyError

    -- local platform and demo
    DemoError
    LocalPlatformError
        NoCheckoutError
        NotMeasuredError
        NotRunningError
        PlatformBusyError
        ProcessDiedError
        ProcessNotReadyError
        TeamRefusedError
        TookTooLongError
        UnknownTeamError
        UnsupportedError

    -- programs, waiting and everything else
    GitError
    NotYetError
    ProgramError
        ProgramNotFoundError
        ProgramTimeoutError
        UnansweredError
"""

from __future__ import annotations

from typing import ClassVar


class JobyardError(Exception):
    """Base of every error that a person is meant to read; its text is the whole message."""

    exit_code: ClassVar[int] = 1
    """Exit code of a command that ends with this error."""


class UsageError(JobyardError):
    """The command itself is wrong: an argument, an option, a combination of options, or the directory it runs in."""

    exit_code = 2


class UnavailableError(JobyardError):
    """A service did not answer, or not now. A caller that may repeat the call does so until its deadline."""


class MissingExtraError(JobyardError):
    """A command needs packages that are not installed."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(
            f"this command needs the extra `{extra}` (pip install 'jobyard[{extra}]'): no module {module!r}"
        )
