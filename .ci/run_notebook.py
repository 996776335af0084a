"""A notebook run from top to bottom as nbdev_test does it, alone in a process.

The process is forked from a server that has imported the big libraries, and nothing of crma: these imports take seconds, which is most of what many notebooks take."""
import difflib, json, multiprocessing, os, re, sys, tempfile
from pathlib import Path

LOADED = ['nbdev.test', 'torch', 'transformers.trainer', 'transformers.models.llama.modeling_llama', 'peft', 'datasets', 'scipy.stats', 'matplotlib.pyplot']
ENV = {'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1', 'TOKENIZERS_PARALLELISM': 'false', 'HF_HUB_OFFLINE': '1'}  # read on import, so the server needs it too
KINDS = ('text/markdown', 'text/html', 'image/svg+xml', 'image/png', 'text/plain')  # as Quarto chooses among what an output offers
# what differs between machines or with every change of the code: addresses, a picture's bytes, the hash of the library
VARIES = re.compile(r'\b0x[0-9a-f]+|base64,[\w+/=]+|(?<= hash <code>)[0-9a-f]{8}(?=</code>)')
processes = multiprocessing.get_context('forkserver')
processes.set_forkserver_preload(LOADED if sys.platform == 'linux' else [])  # elsewhere frameworks below torch may not survive a fork


def shown(outputs) -> list:
    "Lines that a reader of the page sees of a cell; of a figure only that it is there."
    printed, rest = [], []
    for o in outputs:
        if o['output_type'] == 'stream': printed += [''.join(o['text'])] if o.get('name') == 'stdout' else []
        elif kind := next((k for k in KINDS if k in o.get('data', {})), None):
            rest.append(f'[{kind}]' if kind.startswith('image') else ''.join(o['data'][kind]))
    return VARIES.sub('*', '\n'.join([''.join(printed), *rest])).splitlines()


def _look(cell, stored):
    "Print what was skipped; or, where what was stored is to be compared, the first lines that are no longer what the cell shows. True if there are some."
    now = shown(outputs := cell.get('outputs', []))
    skips = [line for o in outputs if o['output_type'] == 'stream' for line in ''.join(o['text']).splitlines() if line.startswith('SKIPPED:')]
    for line in skips: print(line, flush=True)
    if stored is None or skips or now == (was := shown(stored)): return False
    changed = [line[:200] for line in [*difflib.unified_diff(was, now, n=0, lineterm='')][2:] if line[0] in '+-'][:8]
    print(f'cell {cell["id"]}: the page shows what its cell no longer gives: execute the notebook and save it', *changed, sep='\n', flush=True)
    return True


def _test(path: Path, root: Path, out: str, compare: bool):
    "In the forked process: exit status 0 if the notebook ran to its end, and showed what is stored; what is printed goes to the file `out`."
    with open(out, 'w') as f: os.dup2(f.fileno(), 1); os.dup2(f.fileno(), 2)
    os.chdir(root)
    from nbdev import test
    from nbdev.config import get_config
    stored = {c['id']: c['outputs'] for c in json.loads(path.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'code'} if compare else {}
    stale = []

    class Shell(test.CaptureShell):
        def run_all(self, nb, preproc, **kwargs):
            def before(cell):
                if not (left_out := preproc(cell)): cell.outputs = []  # a cell that shows nothing would keep what was stored
                return left_out
            def after(cell):
                if cell.cell_type == 'code' and _look(cell, stored.get(cell.get('id'))): stale.append(cell)
            return super().run_all(nb, preproc=before, postproc=after, **kwargs)

    test.CaptureShell = Shell
    cfg = get_config()
    passed, _ = test.test_nb(path, skip_flags=cfg.tst_flags.split(), basepath=cfg.config_path)
    sys.exit(not passed or bool(stale))


def run(path: Path, # the notebook
        root: Path, # of the repository
        limit_s: float,
        compare: bool=False, # must its cells show what is stored?
       ) -> tuple: # (exit status, or None if it was not done in time; what was printed)
    "Run a notebook; lines `SKIPPED: reason` that its cells print (say, for data that are not there) are among what was printed."
    os.environ.update(ENV)
    with tempfile.TemporaryDirectory() as tmp:
        out = Path(tmp)/'out'; p = processes.Process(target=_test, args=(path.resolve(), root, str(out), compare))
        p.start(); p.join(limit_s); status = p.exitcode
        if status is None: p.kill(); p.join()
        return status, out.read_text(errors='replace') if out.exists() else ''
