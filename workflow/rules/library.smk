# Where the package seqcov_models comes from: the folder of this workflow, or an installed one.

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.sourcecache import LocalGitFile


def join_path(folder, path, join=LocalGitFile.join):
    """Join `path` to a folder of a local git repository, also if it is not a string."""
    return join(folder, str(path))


# Snakemake 9.27 hands over another type for the path of a script and fails with a TypeError
LocalGitFile.join = join_path

# Snakemake hands sys.path on to the scripts. From a git repository it fetches single files only.
root = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent.parent
if (root / "seqcov_models").is_dir() and str(root) not in sys.path:
    sys.path.insert(0, str(root))

try:
    import seqcov_models
except ModuleNotFoundError as error:
    raise WorkflowError(
        f"Python cannot import {error.name}, which this workflow needs. Install the package"
        " seqcov_models, from a clone of the workflow's repository, into the environment that"
        f" Snakemake runs in: {sys.executable} -m pip install PATH_OF_THE_CLONE"
    ) from None
