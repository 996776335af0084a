"""Quarto exits 0 on broken links, missing figures and unresolved references: look at the built pages. Usage: pages.py FOLDER."""
import posixpath, re, sys, urllib.parse
from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    "The local targets of a page, its prose outside code, and its error outputs."
    def __init__(self, html):
        super().__init__()
        self.targets, self.prose, self.errors, self.quiet = set(), [], 0, 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.quiet += tag in ('pre', 'code', 'script', 'style')
        self.errors += 'cell-output-error' in (attrs.get('class') or '')
        self.targets |= {t for t in (attrs.get('href'), attrs.get('src')) if t and not re.match(r'[a-zA-Z][a-zA-Z0-9+.-]*:|//|#', t)}

    def handle_endtag(self, tag): self.quiet -= tag in ('pre', 'code', 'script', 'style')

    def handle_data(self, data):
        if not self.quiet: self.prose.append(data)


def problems(site):
    "One line for each thing wrong with the pages below `site`."
    pages = sorted(p for p in site.rglob('*.html') if 'site_libs' not in p.parts)
    if not pages: yield f'{site}: no pages'
    for p in pages:
        page, name = Page(p.read_text(encoding='utf-8')), p.relative_to(site).as_posix()
        for t in sorted(page.targets):
            path = urllib.parse.unquote(re.split('[?#]', t)[0])
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if not path.startswith('/') else None
            if target is None or not (site/target).exists(): yield f'{name}: broken link to {t}'
        prose = '\n'.join(page.prose)
        if re.search(r'^\s*:::', prose, re.M): yield f'{name}: a ":::" block was not understood'
        if re.search(r'\?@\w+-', prose): yield f'{name}: an unresolved cross-reference'
        if page.errors: yield f'{name}: {page.errors} error outputs'


if __name__ == '__main__':
    if len(sys.argv) != 2: sys.exit(__doc__)
    found = list(problems(Path(sys.argv[1])))
    print('\n'.join(found) if found else f'{sys.argv[1]}: links, figures and references resolve; open {sys.argv[1]}/index.html')
    sys.exit(bool(found))
