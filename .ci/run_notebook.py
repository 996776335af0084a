"""Run one notebook as nbdev_test does, alone in this process: exit status 0 if it ran to its end.
Lines `SKIPPED: reason` that its cells print (say, for data that are not there) are printed here too."""
import sys
from pathlib import Path

from nbdev import test
from nbdev.config import get_config


def _skips(cell):
    for o in cell.get('outputs', []):
        if o['output_type'] == 'stream':
            for line in ''.join(o['text']).splitlines():
                if line.startswith('SKIPPED:'): print(line, flush=True)


class Shell(test.CaptureShell):
    def run_all(self, nb, **kwargs): return super().run_all(nb, postproc=_skips, **kwargs)


if __name__ == '__main__':
    test.CaptureShell = Shell
    cfg = get_config()
    passed, _ = test.test_nb(Path(sys.argv[1]).resolve(), skip_flags=cfg.tst_flags.split(), basepath=cfg.config_path)
    sys.exit(not passed)
