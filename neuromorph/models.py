"""Find a MODEL: a Python file with ``network()``, a ``.nir`` or ``.nmi`` file, or the name of a built-in example."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect as python_inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from neuromorph.durations import steps_of
from neuromorph.errors import NeuromorphError, ValidationError
from neuromorph.parameters import Limit, real
from neuromorph.program import Program
from neuromorph.stimulus import Stimulus
from neuromorph.validate import nearest

if TYPE_CHECKING:
    from neuromorph.network import Network
    from neuromorph.trace import Trace

__all__ = ["Model", "examples", "find", "recorded_inputs", "with_weight"]

DEFAULT_SEED = 1
DEFAULT_DURATION = 1.0


@dataclass(frozen=True, slots=True)
class Model:
    """Something that can be run.

    Attributes
    ----------
    name : str
        As the user wrote it.
    network : Network or None
        Not yet compiled; or
    program : Program or None
        an image.
    inputs : mapping
        What its inputs send, by name.
    duration : float or None
        Seconds that its author means it to run; None if it does not say.
    """

    name: str
    network: Network | None
    program: Program | None
    inputs: Mapping[str, Any]
    duration: float | None

    @property
    def source(self) -> Network | Program:
        """What `neuromorph.open` takes: the network, or the program of an image."""
        found = self.network if self.program is None else self.program
        if found is None:
            raise ValidationError(f"model {self.name!r} has neither a network nor a program")
        return found

    def compile(
        self,
        targets: Sequence[str],
        print_after: Sequence[str] = (),
        profile: str | None = None,
        *,
        deadline: float | None = None,
        counter: int = 0,
    ) -> Program:
        """The program, one for all `targets`; an image is what it is, or refused if one of them cannot hold it."""
        if self.program is not None:
            if print_after:
                raise ValidationError(
                    f"model {self.name!r} is an image, compiled already: no pass runs; give its network to print it"
                )
            if deadline is not None or counter:
                raise ValidationError(
                    f"model {self.name!r} is an image; deadline and counter are compiled in: give its network"
                )
            if profile not in (None, self.program.profile):
                raise ValidationError(
                    f"model {self.name!r} is an image of profile {self.program.profile!r}; give its network to compile "
                    f"it to {profile!r}"
                )
            check_held(self.program, targets)
            return self.program
        from neuromorph.compile import compile as compile_network

        return compile_network(
            cast("Network", self.source),
            targets=list(targets),
            profile=profile or "loihi2",
            print_after=print_after,
            deadline=deadline,
            counter=counter,
        )

    def seconds(self, asked: float | None) -> float:
        """How long to run: what the user asked, else what the model means, else `DEFAULT_DURATION`."""
        if asked is not None:
            return asked
        return DEFAULT_DURATION if self.duration is None else self.duration

    def stimulus(self, program: Program, stop: int) -> Stimulus:
        """What its inputs send to a program up to step `stop`, or to the end that its author means if that is later."""
        end = 0 if self.duration is None else steps_of(self.duration, program.dt)
        return Stimulus.of(program, self.inputs, max(stop, end))


def check_held(program: Program, targets: Sequence[str]) -> None:
    """Raise UnsupportedError or CapacityError if one of the targets lacks a feature or has no room for a program."""
    from neuromorph.passes.legalise import check_features
    from neuromorph.targets import find as find_target

    for name in targets:
        _, target = find_target(name)
        check_features(program, target)
        if target.place is not None:
            target.place(program)


def examples() -> dict[str, str]:
    """Built-in examples: name and first line of the docstring. Nothing is imported."""
    found = {}
    for path in sorted((Path(__file__).parent / "examples").glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if "network" in names:
            found[path.stem] = (ast.get_docstring(tree) or "").split("\n")[0]
    return found


def find(model: str, seed: int | None = None) -> Model:
    """The model of that name.

    Parameters
    ----------
    model : str
        Path of a .py, .nir or .nmi file, or a built-in example; a .nir file runs in steps of 1 ms.
    seed : int, optional
        Handed to ``network(seed)`` and ``inputs(net, seed)``, where they take one; an image takes none.

    Raises
    ------
    ValidationError
        No such file or example; a Python file without ``network()``; an image and a seed.
    ImageError
        An image that is none, or broken.
    UnsupportedError
        A .nir file with nodes that have no counterpart here.
    """
    path = Path(model)
    if path.suffix == ".nmi":
        if seed is not None:
            raise ValidationError(f"model {model!r} is an image; its seed is compiled in: give its network for another")
        return Model(model, None, Program.load(path), {}, None)
    if path.suffix == ".nir":
        from neuromorph.nir import read

        net = read(path, seed=DEFAULT_SEED if seed is None else seed)
        return Model(model, net, None, net.sources, None)
    if path.suffix == ".py":
        return _of_module(model, _load(path), seed)
    known = examples()
    if model in known:
        return _of_module(model, importlib.import_module(f"neuromorph.examples.{model}"), seed)
    files = [f"{path}{suffix}" for suffix in (".py", ".nmi", ".nir") if Path(f"{path}{suffix}").is_file()]
    hint = f"did you mean {files[0]!r}?" if files else f"{nearest(model, known)} (`neuromorph run --list` shows them)"
    raise ValidationError(f"model {model!r} is neither a .py, .nir or .nmi file nor a built-in example; {hint}")


def _load(path: Path) -> ModuleType:
    """Run a model file; its own directory can be imported from, as when it is run as a script."""
    if not path.is_file():
        raise ValidationError(f"cannot read the model {path}: no such file")
    spec = importlib.util.spec_from_file_location(f"neuromorph_model_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValidationError(f"cannot read the model {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    here = str(path.parent.resolve())
    sys.path.insert(0, here)
    try:
        with _users(str(path), path):
            spec.loader.exec_module(module)
    finally:
        sys.path.remove(here)
    return module


@contextmanager
def _users(where: str, path: Path) -> Iterator[None]:
    """What fails in a user's own code is said with its line."""
    try:
        yield
    except NeuromorphError:
        raise
    except Exception as error:
        raise ValidationError(
            f"the model {where} failed{_line(error, path)}: {type(error).__name__}: {error}"
        ) from error


def _line(error: BaseException, path: Path) -> str:
    """The line of the user's file that an error came from."""
    number = getattr(error, "lineno", None)
    frame = error.__traceback__
    while frame is not None:
        if Path(frame.tb_frame.f_code.co_filename) == path:
            number = frame.tb_lineno
        frame = frame.tb_next
    return f" in line {number}" if number else ""


def _of_module(name: str, module: ModuleType, seed: int | None) -> Model:
    network = getattr(module, "network", None)
    if not callable(network):
        raise ValidationError(f"model {name!r} has no function network() that returns a neuromorph.Network")
    from neuromorph.network import Network

    path = Path(module.__file__ or name)
    with _users(f"{name}: network()", path):
        net = _call(network, (), seed)
    if not isinstance(net, Network):
        raise ValidationError(f"network() of model {name!r} must return a neuromorph.Network, not {net!r:.60}")
    inputs = getattr(module, "inputs", None)
    with _users(f"{name}: inputs()", path):
        given = _call(inputs, (net,), DEFAULT_SEED if seed is None else seed) if callable(inputs) else {}
    if not isinstance(given, Mapping):
        raise ValidationError(f"inputs() of model {name!r} must return a dict of inputs, not {type(given).__name__}")
    duration = getattr(module, "duration", None)
    if duration is not None:
        duration = real(f"duration of model {name!r}", duration, Limit(0.0, unit="s"))
    by_name = {str(getattr(key, "name", key)): value for key, value in given.items()}
    return Model(name, net, None, {**net.sources, **by_name}, duration)


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], seed: int | None) -> Any:
    """Call a user's function, with the seed if it takes one."""
    parameters = python_inspect.signature(function).parameters
    if seed is not None and ("seed" in parameters or len(parameters) > len(arguments)):
        if "seed" in parameters:
            return function(*arguments, seed=seed)
        return function(*arguments, seed)
    return function(*arguments)


def recorded_inputs(trace: Trace, program: Program) -> Stimulus:
    """What the inputs of a program sent in a recorded run, to replay it.

    Raises
    ------
    ValidationError
        The trace has no probe on an input of the program.
    """
    from neuromorph.inputs import SpikeTrain
    from neuromorph.trace import Spikes

    found = {}
    for column in trace.values():
        if isinstance(column, Spikes) and column.source and column.object in program.populations:
            found[column.object] = SpikeTrain(column.steps, column.indices, column.payloads)
    wanted = [name for name, pop in program.populations.items() if pop.kind == "input"]
    if wanted and not found:
        raise ValidationError(
            f"the trace holds no spikes of the inputs {', '.join(wanted)}: probe them when it is made"
        )
    return Stimulus.of(program, found, trace.stop)


def with_weight(program: Program, projection: str, pre: int, post: int, value: int) -> Program:
    """The program with one weight changed, in the machine's integers: to see what a comparison says.

    Raises
    ------
    ValidationError
        No such projection or synapse, or a value that it cannot hold.
    """
    if projection not in program.projections:
        raise ValidationError(f"no projection {projection!r}; {nearest(projection, program.projections)}")
    proj = program.projections[projection]
    n_pre, n_post = program.populations[proj.pre].n, program.populations[proj.post].n
    if not (0 <= pre < n_pre and 0 <= post < n_post):
        raise ValidationError(f"{projection}[{pre}, {post}] does not exist: it has {n_pre} x {n_post} neurons")
    where: Any = (pre, post)
    if proj.indices is not None:
        at = ((proj.pre_of == pre) & (proj.indices == post)).nonzero()[0]
        if not at.size:
            raise ValidationError(f"{projection} is sparse and has no synapse from {pre} to {post}")
        where = int(at[0])
    weights = proj.weights.copy()
    weights[where] = value
    changed = {**program.projections, projection: replace(proj, weights=weights)}
    return replace(program, projections=changed)
