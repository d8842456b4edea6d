"""What a reviewer at the customer looks for in the source first."""

import ast
import sys

import pytest

from .fakes import COLLECTOR

TREE = ast.parse(COLLECTOR.read_text(), feature_version=(3, 6))
CALLS = [node for node in ast.walk(TREE) if isinstance(node, ast.Call)]


def _called(prefix: str) -> list[str]:
    names = (ast.unparse(call.func) for call in CALLS)
    return sorted(name for name in names if name.startswith(prefix))


def test_no_shell_is_ever_started() -> None:
    assert [call.lineno for call in CALLS for word in call.keywords if word.arg == "shell"] == []
    assert _called("subprocess.") == ["subprocess.Popen"]


@pytest.mark.parametrize("name", ["system", "popen", "spawn", "exec", "fork", "posix_spawn"])
def test_no_other_way_to_start_a_program_is_used(name: str) -> None:
    assert _called(f"os.{name}") == []


@pytest.mark.parametrize("name", ["eval", "exec", "compile", "__import__"])
def test_no_code_is_made_at_run_time(name: str) -> None:
    assert [called for called in _called(name) if called == name] == []


def test_only_the_standard_library_is_imported() -> None:
    imported = {
        name.name.partition(".")[0] for node in ast.walk(TREE) if isinstance(node, ast.Import) for name in node.names
    }
    imported |= {node.module or "" for node in ast.walk(TREE) if isinstance(node, ast.ImportFrom)}
    assert sorted(imported - sys.stdlib_module_names) == []
    assert sorted(imported & {"socket", "urllib", "http", "ftplib", "smtplib", "ssl", "ctypes"}) == []


def test_files_are_written_only_where_the_bundle_is_made() -> None:
    writing = [
        (function.name, ast.unparse(call.args[1]))
        for function in ast.walk(TREE)
        if isinstance(function, ast.FunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "open" and ast.unparse(call.args[1]) != "'rb'"
    ]
    assert sorted(writing) == [
        ("_write", "'wb'"),
        ("write_bundle", "'wb'"),
        ("write_bundle", "'x'"),
    ]
