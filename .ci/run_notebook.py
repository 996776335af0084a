"""A notebook run from top to bottom as nbdev_test does it, alone in a process.

The process is forked from a server that has imported the big libraries, and nothing of crma: these imports take seconds, which is most of what many notebooks take."""
import multiprocessing, os, sys, tempfile
from pathlib import Path

LOADED = ['nbdev.test', 'torch', 'transformers.trainer', 'transformers.models.llama.modeling_llama', 'peft', 'datasets', 'scipy.stats', 'matplotlib.pyplot']
ENV = {'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1', 'TOKENIZERS_PARALLELISM': 'false', 'HF_HUB_OFFLINE': '1'}  # read on import, so the server needs it too
processes = multiprocessing.get_context('forkserver')
processes.set_forkserver_preload(LOADED if sys.platform == 'linux' else [])  # elsewhere frameworks below torch may not survive a fork


def _skips(cell):
    for o in cell.get('outputs', []):
        if o['output_type'] == 'stream':
            for line in ''.join(o['text']).splitlines():
                if line.startswith('SKIPPED:'): print(line, flush=True)


def _test(path: Path, root: Path, out: str):
    "In the forked process: exit status 0 if the notebook ran to its end; what is printed goes to the file `out`."
    with open(out, 'w') as f: os.dup2(f.fileno(), 1); os.dup2(f.fileno(), 2)
    os.chdir(root)
    from nbdev import test
    from nbdev.config import get_config

    class Shell(test.CaptureShell):
        def run_all(self, nb, **kwargs): return super().run_all(nb, postproc=_skips, **kwargs)

    test.CaptureShell = Shell
    cfg = get_config()
    passed, _ = test.test_nb(path, skip_flags=cfg.tst_flags.split(), basepath=cfg.config_path)
    sys.exit(not passed)


def run(path: Path, # the notebook
        root: Path, # of the repository
        limit_s: float) -> tuple: # (exit status, or None if it was not done in time; what was printed)
    "Run a notebook; lines `SKIPPED: reason` that its cells print (say, for data that are not there) are among what was printed."
    os.environ.update(ENV)
    with tempfile.TemporaryDirectory() as tmp:
        out = Path(tmp)/'out'; p = processes.Process(target=_test, args=(path.resolve(), root, str(out)))
        p.start(); p.join(limit_s); status = p.exitcode
        if status is None: p.kill(); p.join()
        return status, out.read_text(errors='replace') if out.exists() else ''
