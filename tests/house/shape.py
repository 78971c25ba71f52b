#!/usr/bin/env python3
"""Aim: no file of more than 700 lines, no function of more than 90: a room asking to be divided."""
import ast

import tree

FILE_LINES, FUNCTION_LINES = 700, 90
CODE = (".c", ".h", ".cc", ".def", ".py", ".sh", ".js", ".css", ".html", ".sql")


def c_functions(lines):
    """(first line, length): our layout opens and closes a function with a brace alone."""
    start = 0
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            yield start, number - start - 1
            start = 0


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno - node.lineno


def rule(root):
    found = []
    for path in tree.files(root):
        text = tree.text(root, path)
        script = text is not None and text.startswith("#!")
        if text is None or not (path.endswith(CODE) or script):
            continue
        lines = text.splitlines()
        if len(lines) > FILE_LINES:
            found.append(f"{path}:1: {len(lines)} lines")
        functions = []
        if path.endswith((".c", ".h", ".cc")):
            functions = c_functions(lines)
        elif path.endswith(".py") or (script and "python" in lines[0]):
            functions = python_functions(text)
        for line, length in functions:
            if length > FUNCTION_LINES:
                found.append(f"{path}:{line}: a function of {length} lines")
    return found


tree.main(rule, {
    "core/planted_file.c": "int x;\n" * (FILE_LINES + 1),
    "core/planted_function.c": "int f(void)\n{\n" + "    ;\n" * (FUNCTION_LINES + 1) + "}\n",
    "tests/planted_function.py": "def f():\n" + "    pass\n" * (FUNCTION_LINES + 1),
})
