"""Every check of the repository, one after another: `make test`, or `.venv/bin/python .ci/check.py [WORD ...]` for those whose name holds a word.

A check is a function that yields its problems, one line each. Every notebook is a test of its own. The last line reads
`N passed, N failed`, and `, N skipped` where notebooks left something out and said why. Nothing in the checkout is changed."""
import ast, hashlib, importlib.util, io, json, os, posixpath, re, shutil, subprocess, sys, tempfile, time, tokenize, urllib.parse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import nbformat, yaml
import readme
import run_notebook as notebook

ROOT = readme.ROOT
os.environ.setdefault('CUDA_VISIBLE_DEVICES', '')  # every check runs on a CPU; those of the GPU too with CUDA_VISIBLE_DEVICES=0
WORKERS = 2  # notebooks at a time, one thread each
LIMIT_S = 900  # seconds for one notebook, so that one that hangs is told; the longest takes five minutes on a slow machine
# Pages made from committed files alone: every machine must get what they show. Others show seconds, or trainings, whose last digits hang on the processor.
FROM_FILES = ('nbs/index.ipynb', 'nbs/reports/', 'nbs/benchmarks/', 'nbs/lib/21_claims.ipynb')
MAX_BYTES = 1_000_000  # for any file of the repository
MAX_CODE = 40  # code lines of an export cell
# A URL's path does not match: a letter, dot or slash stands before its slash.
MACHINE_PATH = re.compile(r'(?<![\w.:/$~>}*-])/(?:(?:home|Users)/\w|(?:root|tmp|work|mnt|scratch)(?:/\w|\b(?=["\'\s)])))|file:///\w|\b[A-Z]:\\Users\\')
CHECKS = {}


def check(name):
    "Register a function as the check `name`."
    return lambda f: CHECKS.setdefault(name, f)


# What is there ------------------------------------------------------------------------------------------------------------------------

def files():
    "All files that git holds or would add, relative to the root; without git, all files outside hidden and built folders."
    try:
        out = subprocess.run(['git', 'ls-files', '-coz', '--exclude-standard'], cwd=ROOT, capture_output=True, check=True).stdout
        names = sorted({n for n in out.decode().split('\0') if n})
    except (OSError, subprocess.CalledProcessError):
        skip = {'.git', '.venv', 'runs', '_docs', '_proc', '__pycache__', '.ipynb_checkpoints', 'build', 'dist'}
        names = sorted(p.relative_to(ROOT).as_posix() for p in ROOT.rglob('*') if not skip & {*p.relative_to(ROOT).parts} and '.egg-info' not in str(p))
    return [n for n in names if (ROOT/n).is_file()]


def hashes(): return {n: hashlib.sha256((ROOT/n).read_bytes()).hexdigest() for n in files()}


def notebooks(*folders):
    "Notebooks below nbs/ as paths from the root, of all folders or of those named."
    found = [n for n in files() if n.startswith('nbs/') and n.endswith('.ipynb')]
    return [n for n in found if not folders or n.split('/')[1] in folders]


@cache
def load(name): return json.loads((ROOT/name).read_text(encoding='utf-8'))


def cells(name, kind='code'):
    "(number, source, cell) of each cell of a kind."
    return [(i, ''.join(c['source']), c) for i, c in enumerate(load(name)['cells']) if c['cell_type'] == kind]


def has(src, *names):
    "Does a cell carry one of these nbdev directives?"
    return bool({*readme.directives(src)[0]} & {*names})


def stem(name): return re.sub(r'^\d+[a-zA-Z0-9]*_', '', Path(name).stem.lower())


# nbdev: what is generated is up to date -----------------------------------------------------------------------------------------------

@contextmanager
def copy_after(command):
    "A scratch copy of what nbdev reads, without the generated modules, after an nbdev command ran in it."
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)/'crma'
        for n in files():
            if n in ('settings.ini', 'setup.py', 'crma/__init__.py') or n.startswith('nbs/'):
                (tmp/n).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT/n, tmp/n)
        run = subprocess.run([sys.executable, '-c', command], cwd=tmp, capture_output=True, text=True, timeout=LIMIT_S)
        if run.returncode: raise RuntimeError(f'{command}\n{run.stderr[-2000:]}')
        yield tmp


@check('export')
def _():
    "crma/ is what the notebooks export, no more and no less."
    with copy_after('from nbdev.doclinks import nbdev_export; nbdev_export()') as tmp:
        made = {f'crma/{p.name}': p.read_bytes() for p in (tmp/'crma').glob('*.py')}
    here = {n: (ROOT/n).read_bytes() for n in files() if re.fullmatch(r'crma/[^/]+\.py', n)}
    for n in sorted(made.keys() | here.keys()):
        if n not in made: yield f'{n}: no notebook exports it: delete it, or give its notebook back'
        elif n not in here: yield f'{n}: missing: run nbdev_export'
        elif made[n] != here[n]: yield f'{n}: differs from its notebook: edit the notebook and run nbdev_export'


@check('clean')
def _():
    "Notebooks carry no execution counts and no stray metadata."
    with copy_after('from nbdev.clean import nbdev_clean; nbdev_clean()') as tmp:
        for n in notebooks():
            if (tmp/n).read_bytes() != (ROOT/n).read_bytes(): yield f'{n}: run nbdev_clean --fname {n}'


@check('readme')
def _():
    "README.md is what nbs/index.ipynb makes."
    if not (ROOT/'nbs/index.ipynb').exists(): yield 'nbs/index.ipynb: missing'
    elif not (ROOT/'README.md').exists() or readme.readme() != (ROOT/'README.md').read_text(encoding='utf-8'): yield 'README.md: run make readme'


# Lints --------------------------------------------------------------------------------------------------------------------------------

@check('lint: notebook format')
def _():
    "Notebooks are valid, and hold their text line by line, as Jupyter saves it: so a change shows as the lines that changed."
    for n in notebooks():
        if any(isinstance(c['source'], str) for c in load(n)['cells']): yield f'{n}: cell text in one piece: open and save it in Jupyter (or nbformat.write)'
        try: nbformat.validate(nbformat.from_dict(load(n)))
        except (nbformat.ValidationError, ValueError, KeyError) as e: yield f'{n}: {str(e).splitlines()[0]}'


@check('lint: experiments')
def _():
    "papermill finds one cell tagged `parameters`; an experiment exports nothing and is committed without outputs."
    for n in notebooks('experiments'):
        tagged = [i for i, _, c in cells(n) if 'parameters' in c['metadata'].get('tags', [])]
        if len(tagged) != 1: yield f'{n}: {len(tagged)} cells are tagged `parameters`, expected exactly 1'
        for i, src, c in cells(n):
            if has(src, 'export', 'exports', 'exporti', 'default_exp'): yield f'{n}: cell {i} exports: move the definition to nbs/lib'
            if c['outputs']: yield f'{n}: cell {i} has outputs: clear them (executed copies live in runs/)'


@check('lint: reports')
def _():
    "`crma report` executes every cell of a report, on the results of this machine too: so none is slow, and none writes a committed file."
    for n in notebooks('reports'):
        for i, src, c in cells(n):
            if has(src, 'slow') or 'write_atomic(paths.results(' in src: yield f'{n}: cell {i} is slow or writes below results/: move it to nbs/benchmarks'


@check('lint: stored outputs')
def _():
    "The site shows stored outputs: library, reports and tutorials have them, and none is an error."
    for n in notebooks():
        if n.startswith('nbs/experiments/'): continue
        outs = [(i, o) for i, _, c in cells(n) for o in c['outputs']]
        if not outs and n != 'nbs/index.ipynb': yield f'{n}: no outputs: run it and save it'
        for i, o in outs:
            if o['output_type'] == 'error': yield f'{n}: cell {i} ends on {o.get("ename")}: {o.get("evalue", "")[:80]}'


@check('lint: figures have words')
def _():
    "A cell that stores an image says in `#| fig-alt` what it shows (an <img> in HTML in its alt): for those who do not see it. `.ci/site.py` asks the same of the built pages."
    for n in notebooks():
        for i, src, c in cells(n):
            kinds = {k.split('/')[0] for o in c['outputs'] for k in o.get('data', {})}
            if 'image' in kinds and not has(src, 'fig-alt', 'fig-cap'): yield f'{n}: cell {i} stores a figure: describe it in a line `#| fig-alt: "..."`'


@check('lint: one page and one module per notebook')
def _():
    "Page addresses are lower-cased stems without their number, so they must differ within a folder; so must module names."
    for (folder, s), k in Counter((posixpath.dirname(n), stem(n)) for n in notebooks()).items():
        if k > 1: yield f'{folder}: {k} notebooks share the page {s}.html'
    modules = {}
    for n in notebooks('lib'):
        names = [readme.directives(src)[0]['default_exp'] for _, src, _ in cells(n) if has(src, 'default_exp')]
        if names != [stem(n)]: yield f'{n}: exports to {names}, expected exactly [{stem(n)!r}]'
        for m in names:
            if m in modules: yield f'{n}: module {m} is also exported by {modules[m]}'
            modules[m] = n


def code_lines(src):
    "Lines that hold code: no blank lines, comments or docstrings."
    doc = set()
    for node in ast.walk(ast.parse(src)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            doc |= {*range(node.lineno, node.end_lineno + 1)}
    quiet = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = {i for t in tokenize.generate_tokens(io.StringIO(src).readline) if t.type not in quiet for i in range(t.start[0], t.end[0] + 1)}
    return len(lines - doc)


@check('lint: short export cells')
def _():
    for n in notebooks('lib'):
        for i, src, _ in cells(n):
            if not has(src, 'export', 'exports', 'exporti'): continue
            try: k = code_lines(src)
            except SyntaxError as e: yield f'{n}: cell {i}: {e}'; continue
            if k > MAX_CODE: yield f'{n}: cell {i} has {k} code lines, at most {MAX_CODE}: split it'


def texts(obj):
    "All strings of a JSON value, keys too, without images."
    if isinstance(obj, str): yield obj
    elif isinstance(obj, list):
        if all(isinstance(o, str) for o in obj): yield ''.join(obj)
        else:
            for o in obj: yield from texts(o)
    elif isinstance(obj, dict):
        for k, v in obj.items():
            if not k.startswith('image/'): yield k; yield from texts(v)


@check('lint: no machine paths')
def _():
    for n in files():
        if not (n.endswith(('.ipynb', '.json', '.py', '.md', '.yml', '.yaml', '.toml', '.ini', '.cff', '.txt')) or n in ('Makefile', '.ci/run')): continue
        try: found = texts(load(n)) if n.endswith(('.ipynb', '.json')) else [(ROOT/n).read_text(encoding='utf-8')]
        except ValueError as e: yield f'{n}: {e}'; continue
        for s in found:
            for m in MACHINE_PATH.finditer(re.sub(r'\bdata:[\w/+;]*base64,[\w+/=]+', '', s)): yield f'{n}: ...{s[max(0, m.start() - 20):m.end() + 30]!r}...'


@check('lint: file sizes')
def _():
    for n in files():
        if (size := (ROOT/n).stat().st_size) > MAX_BYTES: yield f'{n}: {size:,} bytes, at most {MAX_BYTES:,}'


@check('lint: yaml and json parse')
def _():
    for n in files():
        try:
            if n.endswith(('.yaml', '.yml', '.cff')):
                if not isinstance(yaml.safe_load((ROOT/n).read_text(encoding='utf-8')), dict): yield f'{n}: expected a mapping'
            elif n.endswith('.json'): load(n)
        except (yaml.YAMLError, ValueError) as e: yield f'{n}: {" ".join(str(e).split())}'


def _hrefs(entry):
    if isinstance(entry, str): yield entry
    elif isinstance(entry, list):
        for e in entry: yield from _hrefs(e)
    elif isinstance(entry, dict): yield from _hrefs([entry.get('href', []), entry.get('contents', [])])


@check('lint: site map')
def _():
    "nbs/_quarto.yml is a link to the file above it, whose sidebar names every notebook, once, and nothing else."
    link = ROOT/'nbs/_quarto.yml'
    if not link.is_symlink() or os.readlink(link) != '../_quarto.yml': yield 'nbs/_quarto.yml: expected a symbolic link to ../_quarto.yml'
    listed = Counter(_hrefs(yaml.safe_load((ROOT/'_quarto.yml').read_text(encoding='utf-8'))['website']['sidebar']))
    there = {n[len('nbs/'):] for n in notebooks()}
    yield from (f'nbs/{n}: not in the sidebar of _quarto.yml' for n in sorted(there - listed.keys()))
    yield from (f'_quarto.yml: the sidebar names {n}, which is not there' for n in sorted(listed.keys() - there))
    yield from (f'_quarto.yml: the sidebar names {n} {k} times' for n, k in listed.items() if k > 1)


@check('lint: links')
def _():
    "Relative links and images of README.md and of notebook prose lead to files that are committed."
    there = {*files()} | {posixpath.dirname(n) for n in files()}
    for n in ['README.md'] * (ROOT/'README.md').exists() + notebooks():
        mds = [(ROOT/n).read_text(encoding='utf-8')] if n.endswith('.md') else [src for _, src, _ in cells(n, 'markdown')]
        for text in (s for md in mds for s, code in readme.prose(md) if not code):
            for m in readme.LINK.finditer(text):
                if not readme.is_local(m[2]): continue
                target = posixpath.normpath(posixpath.join(posixpath.dirname(n), urllib.parse.unquote(m[2].partition('#')[0])))
                if target not in there: yield f'{n}: links to {m[2]}, which is not in the repository'


# The site -----------------------------------------------------------------------------------------------------------------------------

@check('site: planted faults are found')
def _():
    "`.ci/site.py`, which `make site` runs on the built pages, finds each kind of fault and sees none on a clean page. Needs no Quarto."
    spec = importlib.util.spec_from_file_location('built_site', ROOT/'.ci/site.py')
    site = importlib.util.module_from_spec(spec); spec.loader.exec_module(site)
    yield from site.self_test()


# Notebooks ----------------------------------------------------------------------------------------------------------------------------

@check('notebooks: a stale page is found')
def _():
    "A notebook whose stored output is not what its cell shows fails where the two are compared, and only there; a cell that skipped something is not compared."
    with tempfile.TemporaryDirectory() as tmp:
        for source, stored, compare, expected in (('1 + 1', '2', True, 0), ('1 + 1', '3', True, 1), ('1 + 1', '3', False, 0), ('None', '2', True, 1), ('print("SKIPPED: no data")', '2', True, 0)):
            cell = nbformat.v4.new_code_cell(source, outputs=[nbformat.v4.new_output('execute_result', {'text/plain': stored}, execution_count=1)])
            nbformat.write(nbformat.v4.new_notebook(cells=[cell]), page := Path(tmp)/'page.ipynb')
            status, text = notebook.run(page, ROOT, LIMIT_S, compare)
            if status != expected: yield f'{source}, stored {stored}, compared {compare}: expected status {expected}, found {status} {text[-500:]}'


def run_notebook(name):
    "(problems, skip lines, seconds) of one notebook."
    start = time.time()
    status, text = notebook.run(ROOT/name, ROOT, LIMIT_S, compare=name.startswith(FROM_FILES))
    problems = [f'not done after {LIMIT_S} s'] if status is None else [text[-4000:] or f'exit status {status}'] if status else []
    return problems, [s for s in text.splitlines() if s.startswith('SKIPPED:')], time.time() - start


# Running it all -----------------------------------------------------------------------------------------------------------------------

class Tally:
    "Counts of passed, failed and skipped, and the line for each test."
    def __init__(self): self.passed = self.failed = self.skipped = 0

    def add(self, name, problems, seconds, skips=()):
        ok = not problems
        self.passed += ok; self.failed += not ok; self.skipped += len(skips)
        print(f'{"ok  " if ok else "FAIL"} {name:<58} {seconds:6.1f} s', flush=True)
        for p in [*problems, *skips]: print('\n'.join(f'       {line}' for line in str(p).splitlines()), flush=True)

    def __str__(self): return f'{self.passed} passed, {self.failed} failed' + (f', {self.skipped} skipped' if self.skipped else '')


def main(words):
    def wanted(name): return not words or any(w in name for w in words)
    tally, before = Tally(), hashes()
    for name, f in CHECKS.items():
        if not wanted(name): continue
        start = time.time()
        try: problems = list(f())
        except Exception as e: problems = [f'{type(e).__name__}: {e}']
        tally.add(name, problems, time.time() - start)
    if todo := [n for n in notebooks() if wanted(n)]:
        with ThreadPoolExecutor(WORKERS) as pool:
            jobs = {pool.submit(run_notebook, n): n for n in todo}
            for job in as_completed(jobs):
                problems, skips, seconds = job.result()
                tally.add(jobs[job], problems, seconds, skips)
        after = hashes()
        tally.add('notebooks leave the checkout as it was', [f'{n}: changed while the tests ran' for n in sorted(before.keys() | after.keys())
                                                              if before.get(n) != after.get(n)], 0)
    if not tally.passed + tally.failed: print(f'no check is called {" or ".join(words)}')
    print(tally)
    return tally.failed > 0 or not tally.passed


if __name__ == '__main__': sys.exit(main(sys.argv[1:]))
