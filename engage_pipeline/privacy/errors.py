"""What a person can mend about forgetting somebody."""

from engage_pipeline.errors import EngageError


class ContactBusy(EngageError):
    """A contact is to be forgotten while something is under way that would bring its data back."""

    code = "contact-busy"

    def __init__(self, contact_id: str, *, why: str) -> None:
        super().__init__(
            what=f"contact {contact_id} cannot be forgotten yet",
            why=why,
            fix="run the command again in a minute",
        )


class FileInTheWay(EngageError):
    """A person to be forgotten is in a file that waits to be loaded and cannot be rewritten row by row."""

    code = "file-in-the-way"

    def __init__(self, place: str) -> None:
        super().__init__(
            what=f"the person is in {place}, which is not loaded yet",
            why="rows are taken out of plain text files only, and deleting the whole file would lose other leads",
            fix="let it be loaded, or release or discard its upload, or take it out of the inbox; then run this again",
        )
