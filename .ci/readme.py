"""README.md out of nbs/index.ipynb, without Quarto: the cells a reader sees, with links made relative to the repository root.
`python .ci/readme.py --write` writes it; `make test` compares."""
import json, posixpath, re, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = '<!-- Made from nbs/index.ipynb by `make readme`: edit that notebook. -->\n\n'
FENCE = re.compile(r'^ {0,3}(`{3,}|~{3,}).*?^ {0,3}\1[`~]* *$|`[^`\n]+`', re.M | re.S)  # fenced blocks and inline code
LINK = re.compile(r'(\]\(\s*<?|(?:src|href)=")([^\s">)]+)')  # markdown and HTML targets
ATTRS = re.compile(r'(!?\[[^\]]*\]\([^)]*\))\{[^}\n]*\}')  # Quarto's {#fig-x width=..} after an image


def prose(md):
    "The parts of a markdown text outside code, each as (text, is_code)."
    at = 0
    for m in FENCE.finditer(md):
        yield md[at:m.start()], False
        yield m[0], True
        at = m.end()
    yield md[at:], False


def is_local(target): return not re.match(r'[a-zA-Z][a-zA-Z0-9+.-]*:|#|/', target)


def _moved(m):
    if not is_local(m[2]): return m[0]
    path, mark, anchor = m[2].partition('#')
    return m[1] + posixpath.normpath(posixpath.join('nbs', path)) + mark + anchor


def markdown(md):
    "A markdown cell of index.ipynb as it reads at the repository root."
    parts = [s if code else LINK.sub(_moved, ATTRS.sub(r'\1', s)) for s, code in prose(md)]
    if any(re.search(r'^:::', s, re.M) for s, code in zip(parts, (c for _, c in prose(md))) if not code):
        raise ValueError('nbs/index.ipynb: a ":::" block shows as it stands on the repository page: write plain markdown')
    return ''.join(parts).strip()


def output(o):
    "One output of a code cell as markdown."
    if o['output_type'] == 'error': raise ValueError(f'nbs/index.ipynb: a cell ends on an error ({o["ename"]}): run it again')
    data = o.get('data', {})
    if 'text/markdown' in data: return markdown(''.join(data['text/markdown']))
    if any(k.startswith('image/') for k in data):
        raise ValueError('nbs/index.ipynb: an inline image cannot go into README.md: save it below nbs/images and show it as ![...](images/...)')
    text = ''.join(data.get('text/plain', o.get('text', '')))
    return '\n'.join(f'    {line}'.rstrip() for line in text.rstrip().splitlines())


def directives(src):
    "The `#| key: value` lines of a cell as a dict, and the source without them."
    lines = src.splitlines()
    found = [m for line in lines if (m := re.match(r'#\s*\|\s*([\w-]+)\s*:?\s*(.*)$', line))]
    keep = [line for line in lines if not re.match(r'#\s*\|', line)]
    return {m[1]: m[2].strip() for m in found}, '\n'.join(keep).strip()


def code(cell):
    "A code cell: its source, then its outputs, as far as its directives show them."
    d, src = directives(''.join(cell['source']))
    if 'hide' in d or d.get('include') == 'false' or 'default_exp' in d: return ''
    shown = [f'```python\n{src}\n```'] if src and d.get('echo') != 'false' else []
    if d.get('output') != 'false': shown += [output(o) for o in cell['outputs']]
    return '\n\n'.join(s for s in shown if s)


def readme():
    "The text of README.md."
    cells = json.loads((ROOT/'nbs/index.ipynb').read_text(encoding='utf-8'))['cells']
    parts = [markdown(''.join(c['source'])) if c['cell_type'] == 'markdown' else code(c) for c in cells if c['cell_type'] in ('markdown', 'code')]
    return HEAD + '\n\n'.join(p for p in parts if p) + '\n'


if __name__ == '__main__':
    if sys.argv[1:] != ['--write']: sys.exit('usage: readme.py --write')
    (ROOT/'README.md').write_text(readme(), encoding='utf-8')
    print('README.md written')
