"""The proof by mutation is about the sources as they are."""

import pytest

from tests.convergence.mutations import MUTATIONS, Mutation
from tests.processes import PROJECT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_each_guard_stands_where_it_would_be_taken_out(mutation, tmp_path):
    copied = tmp_path / mutation.path
    copied.parent.mkdir(parents=True)
    copied.write_text((PROJECT / mutation.path).read_text())
    mutation.take_out(tmp_path)
    assert copied.read_text() != (PROJECT / mutation.path).read_text()
    compile(copied.read_text(), mutation.path, "exec")


def test_a_guard_that_is_not_found_is_told(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match="found 0 times"):
        Mutation("a guard", "a.py", "y = 2", "", ()).take_out(tmp_path)
