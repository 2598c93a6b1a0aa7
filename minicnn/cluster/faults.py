"""Which errors are the machine's, and not the work's."""

import errno


def is_machines_fault(error: BaseException) -> bool:
    """Whether an error tells of the machine or of the way to the files, not of what is in them: another worker may do better."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)
    return isinstance(error, ConnectionError | TimeoutError) or getattr(error, "errno", None) in full
