"""Templates that would take hours, gigabytes or the interpreter, with what is said to each.

Run as a program it renders all of them under a limit on memory and prints what became of each.
"""

from __future__ import annotations

import json
import sys
import time

MIB = 1 << 20
ENTRIES = {
    "big": "a" * (15 * MIB),
    "wide": "\U0001f600" * (3 * MIB),
    "lines": "\n" * (8 * MIB),
    "words": " a" * (4 * MIB),
    "nul": "\0" * (8 * MIB),
    "digits": "9" * MIB,
    "dots": "a." * (4 * MIB),
    "mib": "a" * MIB,
    "short": "a" * 2400,
    "x": "x",
}
STEPS = "more than 1,000,000 steps"
LONG = "more than 16 MiB"
DEEP = "nested"
REFUSED = "is not available"
MILLION = "{% for i in range(1000000) %}"
END = "{% endfor %}"
# Trees that memory holds easily, and that no one can walk through.
TREES = (
    "{% set a = [1, 2] %}{% set b = [1, 2] %}{% set t = (1, 2) %}"
    + "{% set a = [a, a] %}{% set b = [b, b] %}{% set t = (t, t) %}" * 40
)

HOSTILE: dict[str, tuple[str, str]] = {
    # Time
    "nested loops": (MILLION + MILLION + END + END, STEPS),
    "long body": (MILLION + "{{ x }}" * 2000 + END, STEPS),
    "long filter of a loop": (MILLION[:-3] + " if " + "i and " * 90 + "false %}" + END, STEPS),
    "branches": (MILLION + "{% if i and x %}{{ x ~ i }}{% endif %}" * 20 + END, STEPS),
    "recursive calls": (
        "{% macro m(n) %}{{ m(n + 1) if n < 40 }}{{ m(n + 1) if n < 40 }}{% endmacro %}{{ m(0) }}",
        STEPS,
    ),
    "nested callers": (
        "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}"
        + "{% call m() %}" * 19
        + "x"
        + "{% endcall %}" * 19,
        STEPS,
    ),
    "comparing texts": (
        "{% set b = big ~ '' %}" + MILLION + "{{ b == big }}{{ b < big }}" + END,
        STEPS,
    ),
    "searching": (
        "{% set p = 'a' * 600 ~ 'b' ~ 'a' * 600 %}" + MILLION + "{{ p in short }}" + END,
        STEPS,
    ),
    "searching backwards": ("{{ mib.rfind('b' ~ mib[:500000]) }}", STEPS),
    "splitting backwards": ("{{ mib.rsplit('b' ~ mib[:500000]) }}", STEPS),
    "stripping": ("{{ mib.strip('bcdefgh' ~ mib) }}", STEPS),
    "changing case": (MILLION + "{% set q = big|upper %}" + END, STEPS),
    "slicing": (MILLION + "{% set q = big[1:] %}" + END, STEPS),
    "lower case keys": (MILLION + "{% set q = [big, big]|unique %}" + END, STEPS),
    "long index": (MILLION + "{% set q = x[big] %}" + END, STEPS),
    "exact decimals": (MILLION + "{% set q = '%.1000f' % 1e-300 %}" + END, STEPS),
    "sorting": ("{{ (('a' * 1000)|list * 1000)|sort }}", STEPS),
    "tree compared": (TREES + "{{ a == b }}", STEPS),
    "tree searched": (TREES + "{{ a in [b] }}", STEPS),
    "tree printed": (TREES + "{{ a }}", STEPS),
    "tree joined": (TREES + "{{ a|join }}", STEPS),
    "tree formatted": (TREES + "{{ '%s' % (a,) }}", STEPS),
    "tree in JSON": (TREES + "{{ a|tojson }}", STEPS),
    "tree sorted": (TREES + "{{ [a, b]|sort }}", STEPS),
    "tree changed": (
        TREES + "{% for i in 'ab' %}{{ loop.changed(a if i == 'a' else b) }}" + END,
        STEPS,
    ),
    "tree hashed": (TREES + "{{ {t: 1} }}", "a tuple as a key"),
    "tree as an index": (TREES + "{{ x[a] }}", "a list as an index"),
    "tree as a test": (TREES + "{{ [1]|select(t) }}", "a test that is none"),
    "tree as a filter": (TREES + "{{ [1]|map(t) }}", "a filter that is none"),
    "tree as an option": (TREES + "{{ {}|dictsort(false, t) }}", "dictsort is by"),
    "colliding keys": ("{{ [0, 2 ** 61 - 1]|unique }}", "60 bits"),
    "float in a range": (MILLION + "{{ 0.5 in range(1000000) }}" + END, STEPS),
    "NaN for a count": ("{{ [1]|batch(1e999 - 1e999) }}", STEPS),
    "NaN for a width": ("{{ 'a'|indent(1e999 - 1e999) }}", LONG),
    "range": ("{{ range(10 ** 9) }}", "a range of more than"),
    "range of no length": ("{{ range(10 ** 30) }}", "a range of more than"),
    # Memory
    "repeated text": ("{{ 'a' * 10 ** 9 }}", LONG),
    "repeated list": ("{{ [1] * 10 ** 9 }}", STEPS),
    "doubled by ~": ("{% set a = 'aaaa' %}" + "{% set a = a ~ a %}" * 40, LONG),
    "doubled by +": ("{% set a = 'aaaa' %}" + "{% set a = a + a %}" * 40, LONG),
    "doubled list": ("{% set a = [1] %}" + "{% set a = a + a %}" * 40, STEPS),
    "doubled by set": ("{% set a = 'a' %}" + "{% set a %}{{ a }}{{ a }}{% endset %}" * 40, LONG),
    "doubled by a macro": (
        "{% macro m(a) %}{{ a }}{{ a }}{% endmacro %}{% set a = 'a' %}" + "{% set a = m(a) %}" * 40,
        LONG,
    ),
    "many large texts": ("{% set a = big %}" + "{% set a = [a, big ~ 'x'] %}" * 90, STEPS),
    "center": ("{{ 'a'|center(10 ** 9) }}", LONG),
    "ljust": ("{{ 'a'.ljust(10 ** 9) }}", LONG),
    "zfill": ("{{ 'a'.zfill(10 ** 9) }}", LONG),
    "width": ("{{ '%0500000000d'|format(1) }}", "the conversion"),
    "shorter width": ("{{ '%050000000d'|format(1) }}", LONG),
    "width by *": ("{{ '%*d' % (500000000, 1) }}", "the conversion"),
    "precision": ("{{ '%.50000000f' % 1.5 }}", LONG),
    "format": ("{{ '{:>999999999}'.format(1) }}", "the format specification"),
    "shorter format": ("{{ '{:>99999999}'.format(1) }}", LONG),
    "format by argument": ("{{ '{:{w}}'.format(1, w=999999999) }}", "the format specification"),
    "formatted again": ("{{ '%(a)s%(a)s' % {'a': big} }}", LONG),
    "replaced": ("{{ big|replace('a', 'aaaaaaaa') }}", LONG),
    "replaced nothing": ("{{ big|replace('', 'bb') }}", LONG),
    "joined": ("{{ ('a' * 1000)|join(big) }}", LONG),
    "joined by a method": ("{{ big.join(['a'] * 1000) }}", LONG),
    "indented": ("{{ lines|indent(1000) }}", STEPS),
    "indented far": ("{{ x|indent(10 ** 9, true) }}", LONG),
    "escaped": ("{{ ('&' * 8000000)|e }}", LONG),
    "in JSON": ("{{ nul|tojson }}", LONG),
    "indented JSON": ("{{ range(300000)|list|tojson(16) }}", LONG),
    "escapes of Python": ("{{ [nul] }}", LONG),
    "characters": ("{{ wide|list }}", STEPS),
    "words": ("{{ words.split() }}", STEPS),
    "split": ("{{ big.split('a') }}", STEPS),
    "split lines": ("{{ lines.splitlines() }}", STEPS),
    "titles": ("{{ words|title }}", STEPS),
    "percent-encoded": ("{{ wide|urlencode }}", STEPS),
    "batch": ("{{ [1]|batch(10 ** 9, 1) }}", STEPS),
    "slice": ("{{ [1]|slice(10 ** 9) }}", STEPS),
    "spread": ("{{ x.upper(*range(1000000), *range(1000000)) }}", "invalid syntax"),
    "spread text": ("{{ x.upper(*big) }}", STEPS),
    "parts of an attribute": ("{{ [x]|map(attribute=dots) }}", "an attribute of"),
    "parts of a sort": ("{{ [x]|sort(attribute=dots) }}", "an attribute of"),
    "output": (MILLION + "{{ big }}" + END, LONG),
    "output at once": ("{{ big }}" * 4000, LONG),
    "output of a block": ("{% set q %}" + "{{ big }}{{ big }}{% endset %}", LONG),
    "text of a block": ("{% set q %}" + MILLION + "y" * 9999 + END + "{% endset %}", STEPS),
    "numbers of a block": ("{% set q %}" + MILLION + "{{ i }}" * 99 + END + "{% endset %}", STEPS),
    # Numbers
    "power": ("{{ 2 ** (10 ** 8) }}", "an integer of more than 4096 bits"),
    "square": ("{% set a = 3 %}" + "{% set a = a * a %}" * 60, "an integer of more than 4096 bits"),
    "sum of integers": ("{% set a = 2 ** 4095 %}{{ a + a }}", "an integer of more than 4096 bits"),
    "complex number": ("{{ (-8) ** 0.5 }}", "a complex as a result"),
    "long integer": ("{{ " + "9" * 100_000 + " }}", "a token of 100,000"),
    "long hexadecimal": ("{{ 0x" + "f" * MIB + " }}", "a token of"),
    "long number in a value": ("{{ digits|int }}", "a number of 1,048,576 characters"),
    "power of ten": ("{{ 5|round(-10 ** 9) }}", "round to"),
    # Depth
    "parentheses": ("{{ " + "(" * 9000 + "1" + ")" * 9000 + " }}", DEEP),
    "lists": ("{{ " + "[" * 9000 + "]" * 9000 + " }}", DEEP),
    "dicts": ("{{ " + "{1:" * 200 + "1" + "}" * 200 + " }}", DEEP),
    "not": ("{{ " + "not " * 9000 + "1 }}", DEEP),
    "minus": ("{{ " + "-" * 9000 + "1 }}", DEEP),
    "plus": ("{{ 1" + " + 1" * 9000 + " }}", DEEP),
    "and": ("{{ 1" + " and 1" * 9000 + " }}", DEEP),
    "else": ("{{ " + "1 if x else " * 4000 + "1 }}", DEEP),
    "filters": ("{{ x" + "|e" * 9000 + " }}", DEEP),
    "attributes": ("{{ x" + ".a" * 9000 + " }}", DEEP),
    "indexes": ("{{ x" + "[0]" * 8000 + " }}", DEEP),
    "calls": ("{{ x" + "()" * 9000 + " }}", DEEP),
    "if": ("{% if 1 %}" * 3000 + "{% endif %}" * 3000, DEEP),
    "for": ("{% for i in x %}" * 50 + "{% endfor %}" * 50, DEEP),
    "macro": (
        "".join(f"{{% macro m{n}() %}}" for n in range(50)) + "{% endmacro %}" * 50,
        DEEP,
    ),
    "endless macro": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", DEEP),
    "endless loop": ("{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}", DEEP),
    "deep value": ("{% set a = [1] %}" + "{% set a = [a] %}" * 900 + "{{ a }}", DEEP),
    # Templates themselves
    "many tokens": ("{{a}}" * 1_000_000, "more than 25,000 tokens"),
    "many lines": ("{{ a }}" + "\n" * (15 * MIB), "more than 1,000,000 lines"),
    "many branches": (
        "".join(f"{{% if a{n} %}}{{{{ b{n} }}}}{{% endif %}}" for n in range(2500)),
        "2,500 branches",
    ),
    "long name": ("{{ " + "a" * (5 * MIB) + " }}", "a token of 5,242,880"),
    "long literal": ("{{ '" + "\\a" * (3 * MIB) + "' }}", "a token of"),
    "literal without end": ("{{ '" + "\\a" * (3 * MIB), "unexpected char"),
    "number with separators": ("{{ " + "1_" * (3 * MIB) + " }}", "a token of"),
    "comment without end": ("{{/*" * MIB, "Missing end of comment"),
    "comment without end, Jinja's": ("{#" * (3 * MIB), "Missing end of comment"),
    "raw without end": ("{% raw %}" + "{% " * MIB, "Missing end of raw"),
    "tag with white space": ("{% raw" + " " * (5 * MIB), "unknown tag 'raw'"),
    "backquotes": ("{{ " + "`" * (3 * MIB), "more than 25,000 tokens"),
    # Python
    "class": ("{{ x.__class__ }}", REFUSED),
    "class by index": ("{{ x['__class__'] }}", REFUSED),
    "class of a list": ("{{ [].__class__.__mro__ }}", REFUSED),
    "class of the mapping": ("{{ entries.__class__ }}", REFUSED),
    "class of what is missing": ("{{ nothing.__class__ }}", REFUSED),
    "inside of what is missing": ("{{ nothing._undefined_hint }}", REFUSED),
    "class by a filter": ("{{ [x]|map(attribute='__class__') }}", REFUSED),
    "attr": ("{{ x|attr('__class__') }}", "no filter 'attr'"),
    "class in a format": ("{{ '{0.__class__}'.format(1) }}", "the field"),
    "index in a format": ("{{ '{0[a]}'.format(x) }}", "the field"),
    "repr in a format": ("{{ '{!r}'.format(x) }}", "the conversion"),
    "format_map": ("{{ '{a}'.format_map({'a': 1}) }}", REFUSED),
    "encode": ("{{ x.encode() }}", REFUSED),
    "translate": ("{{ x.translate({120: big}) }}", REFUSED),
    "changing a list": ("{{ [1].append(2) }}", REFUSED),
    "changing the mapping": ("{{ entries.update({'x': 1}) }}", REFUSED),
    "method": ("{{ x.upper }}", "a Method is no value"),
    "inside of a method": ("{{ x.upper.implementation }}", REFUSED),
    "inside of range": ("{{ range.implementation.__globals__ }}", REFUSED),
    "method as an element": ("{{ [x.upper]|join }}", "a Method is no value"),
    "macro as a value": ("{% macro m() %}{% endmacro %}{{ m }}", "a Macro is no value"),
    "inside of a macro": ("{% macro m() %}{% endmacro %}{{ m.__call__ }}", REFUSED),
    "function of a macro": ("{% macro m() %}{% endmacro %}{{ m._invoke }}", REFUSED),
    "inside of a loop": ("{% for i in x %}{{ loop._to_iterator }}{% endfor %}", REFUSED),
    "loop as a value": ("{% for i in x %}{{ loop }}{% endfor %}", "a LoopContext is no value"),
    "loop as an iterable": ("{% for i in x %}{{ loop|list }}{% endfor %}", "nothing to loop over"),
    "context as an argument": ("{{ x.upper(context=1) }}", "takes no keyword arguments"),
    "Jinja's own argument": (
        "{% macro m() %}{% endmacro %}{{ m(**{'_loop_vars': 1}) }}",
        "takes no keyword argument '_loop_vars'",
    ),
    "names in code": ("{{ x(**{'a\"); import os; (\"': 1}) }}", "can't be called"),
}  # fmt: skip


def main() -> None:
    """Renders each and prints its name, the seconds it took, the error's text and its line."""
    import resource  # noqa: PLC0415

    from groupstore import TemplateError  # noqa: PLC0415
    from groupstore.template import render  # noqa: PLC0415

    mapped = 4096 * int(open("/proc/self/statm").read().split()[0])  # noqa: PTH123, SIM115
    room = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (mapped + room, mapped + room))
    for name, (template, _) in HOSTILE.items():
        started = time.process_time()
        try:
            text, line = f"{len(render(template, ENTRIES, strict=False)):,} characters", None
        except TemplateError as error:
            text, line = str(error), error.line
        print(json.dumps([name, time.process_time() - started, text, line]), flush=True)


if __name__ == "__main__":
    main()
