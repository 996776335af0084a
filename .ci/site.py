"""Quarto exits 0 on broken links, missing figures and unresolved references: read the pages that it built. Usage: site.py FOLDER.

One line for each fault, with page and line; exit status 1 if there is one. `make test` runs `self_test`, which needs no built site."""
import configparser, posixpath, re, sys, tempfile, urllib.parse
from html.parser import HTMLParser
from pathlib import Path

TARGETS = dict(a='href', link='href', img='src', script='src', source='src', iframe='src', video='src', audio='src')  # what a tag loads or leads to
VOID = {*'area base br col embed hr img input link meta source track wbr'.split()}  # tags without an end tag
CODE = {'pre', 'code', 'script', 'style'}
LEFT = {r':::': 'a ":::" block was not understood', r'\?@|@(?:fig|tbl|sec|eq|lst)-\w': 'an unresolved cross-reference'}  # in prose


class Page(HTMLParser):
    "The targets and anchors of a page, and what is wrong with it alone, each with its line."
    def __init__(self, html):
        super().__init__()
        self.targets, self.anchors, self.faults, self.open, self.figures, self.title = [], {'', 'top'}, [], [], [], ''
        self.feed(html); self.close()
        if not self.title.strip(): self.faults.append((1, 'no title'))

    def fault(self, what, line=None): self.faults.append((line or self.getpos()[0], what))

    def inside(self, *tags): return any(tag in tags for tag, _ in self.open)

    def handle_starttag(self, tag, attrs):
        a, line = {k: v or '' for k, v in attrs}, self.getpos()[0]
        classes = a.get('class', '').split()
        if tag not in VOID: self.open.append((tag, classes))
        self.anchors |= {a.get('id', ''), a.get('name', '') if tag == 'a' else ''}
        if target := a.get(TARGETS.get(tag)): self.targets.append((line, target))
        if 'cell-output-error' in classes: self.fault('an error output')
        if tag == 'figure': self.figures.append(dict(silent=[], caption=''))
        if tag == 'img' and not a.get('alt', '').strip():
            if self.figures: self.figures[-1]['silent'].append(line)  # its caption may speak for it
            else: self.fault('an image without alt text')

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID: self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if not self.inside(tag): return
        while self.open.pop()[0] != tag: pass
        if tag == 'figure' and self.figures and not (f := self.figures.pop())['caption'].strip():
            for line in f['silent']: self.fault('an image without alt text', line)

    def handle_data(self, data):
        if self.inside('title') and not self.inside('svg'): self.title += data
        if self.inside('figcaption') and self.figures: self.figures[-1]['caption'] += data
        found = [] if self.inside(*CODE) else [(m, what) for left, what in LEFT.items() for m in re.finditer(left, data)]
        if any('cell-output' in c for _, c in self.open): found += [(m, 'a traceback in an output') for m in re.finditer(r'Traceback \(most recent call last\)', data)]
        for m, what in found: self.fault(what, self.getpos()[0] + data[:m.start()].count('\n'))


def resolve(page, target, url):
    "(file below the site, anchor) of a target on a page; None where it leads elsewhere. The site's own address `url` leads into it."
    if url and re.match(re.escape(url.rstrip('/')) + r'(?=[/?#]|$)', target): page, target = '', './' + target[len(url.rstrip('/')):].lstrip('/')
    elif re.match(r'[a-zA-Z][a-zA-Z0-9+.-]*:|//', target): return None
    path, _, anchor = target.partition('#')
    path = urllib.parse.unquote(path.partition('?')[0])
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page, urllib.parse.unquote(anchor)


def problems(site, url=''):
    "One line for each thing wrong with the pages below the folder `site`, which is published at `url`."
    pages = {p.relative_to(site).as_posix(): Page(p.read_text(encoding='utf-8')) for p in sorted(site.rglob('*.html')) if 'site_libs' not in p.parts}
    if 'index.html' not in pages: yield f'{site}: no index.html'
    for name, page in pages.items():
        faults = list(page.faults)
        for line, target in page.targets:
            if (there := resolve(name, target, url)) is None: continue
            file, anchor = there
            if not file.startswith(('/', '..')) and (site/file).is_dir(): file = posixpath.normpath(f'{file}/index.html')
            if file.startswith(('/', '..')) or not (site/file).is_file(): faults.append((line, f'{target} leads nowhere'))
            elif file in pages and anchor not in pages[file].anchors: faults.append((line, f'{target}: there is no such anchor'))
        yield from (f'{name}:{line}: {what}' for line, what in sorted(set(faults)))


# The checker must be able to fail ------------------------------------------------------------------------------------------------------

URL = 'https://example.org/crma'
OTHER = '<title>other</title><h2 id="an-anchor">x</h2><a href="../index.html#a">up</a> <a href="../">home</a>'
CLEAN = f'''<html><head><title>A title</title>
<link rel="stylesheet" href="site_libs/a%20style.css">
<script src="site_libs/script.js"></script></head><body><svg><title>no page title</title></svg>
<h2 id="a">Heading</h2><a href="#a">here</a> <a href="#">top</a> <a href="">toggle</a> <a href="?q=1#a">query</a>
<a href="lib/other.html#an-anchor">there</a> <a href="lib/other.html?x">plain</a> <a href="{URL}/lib/other.html#an-anchor">own address</a> <a href="{URL}">home</a> <a href="{URL}-2/x">not ours</a>
<a href="https://example.org/gone.html#x">outside</a> <a href="mailto:a@b.c">mail</a> <img alt="drawn" src="data:image/png;base64,AA"><img alt="a figure" src="figure.png">
<figure><p><img src="figure.png"></p><figcaption>What it <b>shows</b></figcaption></figure>
<p>In code these are no faults: <code>?@fig-x ::: {{.note}}</code> and <pre>:::
@tbl-y</pre></p><p>Traceback (most recent call last) in prose</p>
<div class="cell-output cell-output-stdout"><pre>fine</pre></div>
</body></html>
'''
#: What is found, and how the clean page is changed for it.
PLANTED = (('no title', '<title>A title</title>', '<title> </title>'), ('no title', '<title>A title</title>', ''),
           ('gone.html leads nowhere', 'href="lib/other.html#an-anchor"', 'href="lib/gone.html"'), ('/lib/other.html leads nowhere', 'href="lib/other.html?x"', 'href="/lib/other.html"'),
           ('../index.html leads nowhere', 'href="lib/other.html?x"', 'href="../index.html"'), ('site_libs leads nowhere', 'href="lib/other.html?x"', 'href="site_libs"'),
           ('gone.html leads nowhere', f'href="{URL}/lib/other.html#an-anchor"', f'href="{URL}/gone.html"'),
           ('#b: there is no such anchor', 'href="#a"', 'href="#b"'), ('#a: there is no such anchor', 'lib/other.html?x', 'lib/other.html#a'),
           ('#x: there is no such anchor', f'{URL}/lib/other.html#an-anchor', f'{URL}/lib/other.html#x'),
           ('gone.png leads nowhere', 'alt="a figure" src="figure.png"', 'alt="a figure" src="gone.png"'), ('gone.css leads nowhere', 'a%20style.css', 'gone.css'),
           ('gone.js leads nowhere', 'script.js', 'gone.js'), ('without alt text', 'alt="a figure" ', ''), ('without alt text', 'alt="a figure" ', 'alt=" " '),
           ('without alt text', '<figcaption>What it <b>shows</b></figcaption>', '<figcaption></figcaption>'),
           ('":::" block', 'Heading', '::: {.note}'), ('cross-reference', 'Heading', 'see <b>?@fig-x</b>'), ('cross-reference', 'Heading', 'see @fig-x'),
           ('an error output', 'cell-output-stdout', 'cell-output-error'), ('a traceback', '<pre>fine', '<pre>Traceback (most recent call last)'))


def self_test():
    "Problems of the checker itself: a planted fault that is not found, alone and on its line, or a fault seen on a clean page."
    with tempfile.TemporaryDirectory() as tmp:
        site = Path(tmp)
        if not list(problems(site)): yield 'a folder without pages has no fault'
        for name, text in {'lib/other.html': OTHER, 'site_libs/a style.css': '', 'site_libs/script.js': '', 'site_libs/part.html': '<a href="gone">', 'figure.png': ''}.items():
            (site/name).parent.mkdir(exist_ok=True); (site/name).write_text(text)
        (site/'index.html').write_text(CLEAN)
        yield from (f'a clean site, and yet: {p}' for p in problems(site, URL))
        for want, old, new in PLANTED:
            if CLEAN.count(old) < 1: yield f'the clean page has no {old!r}'; continue
            (site/'index.html').write_text(CLEAN.replace(old, new, 1))
            found, line = list(problems(site, URL)), CLEAN[:CLEAN.index(old)].count('\n') + 1
            if len(found) != 1 or not found[0].startswith(f'index.html:{line}: ') or want not in found[0]: yield f'{new!r}: expected "index.html:{line}: ...{want}", found {found}'


def published():
    "The address of the site, from settings.ini."
    ini = configparser.ConfigParser(); ini.read(Path(__file__).resolve().parent.parent/'settings.ini', encoding='utf-8')
    return ini['DEFAULT']['doc_host'] + ini['DEFAULT']['doc_baseurl']


if __name__ == '__main__':
    if len(sys.argv) != 2: sys.exit(__doc__)
    found = list(problems(Path(sys.argv[1]), published()))
    print('\n'.join(found) + f'\n{len(found)} faults' if found else f'{sys.argv[1]}: links, anchors, figures and references resolve; open {sys.argv[1]}/index.html')
    sys.exit(bool(found))
