"""The few words that the client scripts share. Each case is a function; `run` prints one line a
case and gives the exit code."""
import sys
import time
import traceback


class Failed(Exception):
    pass


def true(value, what):
    if not value:
        raise Failed(what)


def equal(found, wanted, what):
    if found != wanted:
        raise Failed(f"{what}: found {str(found)[:400]}, wanted {str(wanted)[:400]}")


def refused(kind, call, what):
    """The exception of that kind that the call must raise."""
    try:
        found = call()
    except kind as error:
        return error
    except Exception as error:
        raise Failed(f"{what}: {type(error).__name__}: {error}, wanted {kind.__name__}") from error
    raise Failed(f"{what}: went through with {str(found)[:200]}, wanted {kind.__name__}")


def run(cases):
    """Names on the command line choose among the cases."""
    chosen = [case for case in cases if len(sys.argv) < 2 or case.__name__ in sys.argv[1:]]
    failed = 0
    for case in chosen:
        start = time.monotonic()
        try:
            case()
            word = "ok"
        except Exception as error:
            failed += 1
            word = f"FAILED: {error}"
            if not isinstance(error, Failed):
                traceback.print_exc()
        print(f"{word.split(':')[0]:6} {case.__name__} ({time.monotonic() - start:.1f} s)"
              f"{word[6:] if word != 'ok' else ''}", flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0
