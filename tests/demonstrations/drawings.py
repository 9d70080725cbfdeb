"""Small drawings of every kind, for the tests: by name, the file's content.

``HEAD`` of 500 by 500 user units goes around those that do not begin with ``<svg``. Every shape is
apart from the others, so that hiding it changes the picture if it is drawn at all.
"""

SVG = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
HEAD = f'<svg {SVG} viewBox="0 0 500 500">'
INK = 'fill="none" stroke="#123"'
HERE = f'<path d="M20 20 C 60 90 140 -20 200 60" {INK}/>'  # drawn wherever it stands
GONE = f'<path d="M20 220 L 120 220 L 120 300" {INK}/>'  # for places that are not drawn
CLIP = '<clipPath id="c"><rect width="300" height="150"/></clipPath>'

DRAWINGS = {
    # --- path data
    "relative commands": f'<path d="m20 20l50 30 10-20h40v60H60V200z m200 0 l 10 10" {INK}/>',
    "numbers that touch": f'<path d="M20,20L1.5e2-.5.5.25-3-4e1" {INK}/>',
    "flags that touch": f'<path d="M50 50a40 30 20 0150 40a40 30 20 1150 40" {INK}/>',
    "smooth curves": f'<path d="M20 20C40 10 60 90 80 40S120 80 140 20s30 5 40 40" {INK}/>',
    "smooth after a line": f'<path d="M20 20L60 60S120 80 140 20" {INK}/>',
    "quadratic and smooth": f'<path d="M20 80Q60 20 100 80T180 80t40 20" {INK}/>',
    "smooth quadratic first": f'<path d="M20 80 T100 120 T 180 20" {INK}/>',
    "arcs of every flag": "".join(
        f'<path d="M{60 + 110 * i} 150 A 50 30 25 {large} {sweep} {110 + 110 * i} 190" {INK}/>'
        for i, (large, sweep) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)])
    ),
    "arc too small for its chord": f'<path d="M50 50 A 10 5 30 0 1 250 150" {INK}/>',
    "arc of radius 0": f'<path d="M50 50 A 0 5 30 0 1 250 150 L 60 200" {INK}/>',
    "arc of negative radius": f'<path d="M50 50 A -60 -90 30 0 1 150 150" {INK}/>',
    "arc to its own start": f'<path d="M50 50 A 30 30 0 0 1 50 50 L 150 50 l 0 40" {INK}/>',
    "arc almost to its start": f'<path d="M150 50 A 60 60 0 1 1 149.99 50" {INK}/>',
    "nearly flat arcs": "".join(
        f'<path d="M20 {60 * i} a {r} {r} 0 0 {i % 2} 200 10" {INK}/>'
        for i, r in enumerate([1e3, 1e4, 1e5, 1e6], start=1)
    ),
    "trailing moveto": f'<path d="M50 50 L 150 50 L 150 90 Z M 50 50" {INK}/>',
    "lone movetos": f'<path d="M50 50 L 150 50 M 3 3 M 4 4 l 20 90 m 1 1" {INK}/>',
    "line after closing": f'<path d="M50 50 h 60 v 60 z l -20 70" {INK}/>',
    "close then moveto": f'<path d="m50 50 h 60 v 60 z m 100 0 h 60 v 60 z" {INK}/>',
    "several subpaths": f'<path d="M50 50 L 90 60 M 90 60 L 140 20 M 200 200 h 40" {INK}/>',
    "repeated points": f'<path d="M50 50 L50 50 L 90 60 L 90 60 L 20 90" {INK}/>',
    "many closings": f'<path d="M50 50 h 60 v 60 z z z" {INK}/>',
    "line feeds and commas": f'<path d="\n M50,50,150,60\n,170\t90 , 20 , 90 z\n" {INK}/>',
    # --- shapes
    "line": f'<line x1="20" y1="30" x2="200" y2="90" {INK}/>',
    "polyline": f'<polyline points="20,20 60-10.5 90,80,20 80" {INK}/>',
    "polygon": f'<polygon points="20 120 60 30 90 80" {INK}/>',
    "rect": f'<rect x="20" y="30" width="120" height="70" {INK}/>',
    "rect with one radius": f'<rect x="20" y="30" width="120" height="70" rx="15" {INK}/>',
    "rect with two radii": f'<rect x="20" y="30" width="120" height="70" rx="35" ry="9" {INK}/>',
    "pill": f'<rect x="50" y="50" width="200" height="40" rx="100" {INK}/>',
    "pill both ways": f'<rect x="50" y="50" width="200" height="40" rx="300" ry="400" {INK}/>',
    "rect radius 0 one way": f'<rect x="50" y="50" width="200" height="40" rx="0" ry="9" {INK}/>',
    "rect radius in percent": f'<rect x="50" y="50" width="200" height="40" rx="10%" {INK}/>',
    "rect radius auto": f'<rect x="50" y="50" width="200" height="40" style="rx:auto" ry="12" {INK}/>',
    "rect negative radius": f'<rect x="50" y="50" width="200" height="40" rx="-5" {INK}/>',
    "circle": f'<circle cx="90" cy="80" r="40" {INK}/>',
    "ellipse": f'<ellipse cx="90" cy="80" rx="60" ry="20" {INK}/>',
    "ellipse with one radius": f'<ellipse cx="90" cy="80" rx="60" {INK}/>',
    "empty shapes": f'<rect width="0" height="9" {INK}/><circle r="0" {INK}/><ellipse rx="0" {INK}/>'
    f'<rect width="-5" height="9" {INK}/><path d="" {INK}/><polyline points="" {INK}/>'
    f'<rect {INK}/><circle {INK}/><polygon points="5 5" {INK}/>{HERE}',
    # --- units
    "percent": f'<rect x="10%" y="20%" width="50%" height="5%" {INK}/>'
    f'<circle cx="50%" cy="70%" r="10%" {INK}/><line x1="5%" y1="90%" x2="60%" y2="95%" {INK}/>',
    "percent of a wide page": f'<svg {SVG} viewBox="10 20 600 200">'
    f'<circle cx="50%" cy="50%" r="10%" {INK}/></svg>',
    "percent without viewBox": f'<svg {SVG} width="300" height="100mm">'
    f'<rect x="10%" y="20%" width="50%" height="5%" {INK}/></svg>',
    "millimetres and points": f'<rect x="5mm" y="1cm" width="1in" height="40pt" {INK}/>'
    f'<line x1="10px" y1="50mm" x2="12pc" y2="160Q" {INK}/>',
    "em and rem": f'<g font-size="20"><rect x="1em" y="2em" width="5em" height="1rem" {INK}/>'
    f'<g style="font-size:150%"><circle cx="5em" cy="6em" r="1em" {INK}/></g></g>',
    "calculated": f'<rect x="20" y="20" style="width:calc(10% + 2*20px);height:calc((3em - 8px)/2)" {INK}/>',
    "geometry in a style": "<style>rect{x:20px;y:30px;width:20%;height:50px;rx:8px}"
    f"circle{{cx:300px;cy:5cm;r:40px}}</style><rect {INK}/><circle r='3' {INK}/>",
    "lengths without unit in a style": f'<style>rect{{width:99;font-size:20;y:77}}</style>'
    f'<rect width="200" height="5em" x="9" y="9" style="rx:5" {INK}/><rect height="9" '
    f'width="10em" style="x:77;height:120;font-size:20" {INK}/>',
    "invalid lengths in a style": f'<rect width="70" height="40" x="9" y="9" style="width:-3px;'
    f'height:red" {INK}/>',
    "invalid transforms in a style": f'<g transform="translate(20 30)" style="transform:rotate(30)">{HERE}'
    f'</g><g style="transform:translate(9,9)">{HERE}</g><g style="transform:scale(2);'
    f'transform-origin:20 30">{HERE}</g>',
    "path data in a style": f"<style>.p{{d:path('M50 50 L150 80 L 90 200')}}</style>"
    f'<path class="p" d="M0 0 L 9 9" {INK}/>',
    "no path data by style": f'<path style="d:none" d="M9 9 L 200 9 L 9 99" {INK}/>{HERE}',
    # --- transforms
    "glued": f'<path transform="translate(10-20)rotate(15)" d="M100 100h50v20" {INK}/>',
    "list with commas": f'<path transform="translate(10),scale(1.5 , .5) ,skewX(20)" d="M100 100h50v20" {INK}/>',
    "blank before bracket": f'<path transform="rotate (30 100 100)  skewY( 10 )" d="M100 100h50v20" {INK}/>',
    "matrix": f'<path transform="matrix(1.5.5-.5 1 1e1,-2)" d="M100 100h50v20" {INK}/>',
    "mirrored arc": f'<path transform="matrix(-1 .2 .3 1 300 0)" d="M50 50 A 50 30 25 1 0 90 90" {INK}/>',
    "nested groups": f'<g transform="translate(30 40)"><g transform="rotate(20)"><a transform="scale(2 1)">'
    f'<circle cx="50" cy="60" r="50" {INK}/></a></g>{HERE}</g>',
    "own transform in a group": f'<g transform="translate(90 40) scale(1 2)"><path transform="rotate(30)" '
    f'd="M20 20 L 90 30 L 40 60" {INK}/></g>',
    "transform in a class": f"<style>.a{{transform:rotate(30deg) scale(2,1)}}</style>"
    f'<path class="a" d="M 100 50 H 200 V 90" {INK}/>',
    "style goes before attribute": f'<path style="transform:translate(20px,1em)" transform="scale(3)" '
    f'd="M 100 100 H 150 V 190" {INK}/>',
    "transform none by style": f'<path style="transform:none" transform="scale(3)" d="M 100 100 H 150 V 190" {INK}/>',
    "every function": '<g style="transform:translateX(5px) translateY(.1in) scaleX(1.2) scaleY(.9) '
    'rotate(.05turn) skewX(5deg) skew(2deg,3deg) skewY(1grad) matrix(1,0,.1,1,3,4)">'
    f"{HERE}</g>",
    "flat functions of space": f'<g style="transform:translate3d(9px,8px,0) rotateZ(9deg) scale3d(1.2,1,1) translateZ(0)">{HERE}</g>',
    "translate in percent": f'<g style="transform:translate(10%,20%)">{HERE}</g>',
    "origin in a style": f'<g style="transform:rotate(20deg);transform-origin:center">{HERE}</g>',
    "origin in words": f'<g style="transform:rotate(10deg);transform-origin:bottom 20px">{HERE}</g>'
    f'<g style="transform:rotate(-5deg);transform-origin:right top">{HERE}</g>',
    "origin as attribute": f'<g transform="rotate(20)" transform-origin="50 80">{HERE}</g>',
    "origin of an own box": f'<rect x="100" y="80" width="90" height="30" style="transform:rotate(30deg);'
    f'transform-box:fill-box;transform-origin:50% 50%" {INK}/>',
    "own box without origin": f'<rect x="100" y="80" width="90" height="30" style="transform:rotate(30deg) '
    f'translate(50%,0);transform-box:fill-box" {INK}/>',
    "longhands": f'<g style="translate:30px 20px;rotate:10deg;scale:1.5 .8;transform:skewX(9deg)">{HERE}</g>',
    "longhands about an origin": f'<g style="rotate:20deg;scale:1.2;transform-origin:100px 50px">{HERE}</g>',
    "flattened": f'<g transform="scale(0)">{HERE}</g><g transform="scale(1,0)">{HERE}</g>{HERE}',
    "root with a transform": f'<svg {SVG} viewBox="0 0 500 500" font-size="30">'
    f'<rect x="1em" y="1rem" width="3em" height="2rem" {INK}/></svg>',
    # --- what is hidden
    "hidden class": "<style>.st0{display:none}.st1{display:inline}</style>"
    f'<g class="st0"><path class="st1" d="M10 10 L400 10 L400 400 Z"/></g>{HERE}',
    "style over attribute": f'<g display="none" style="display:inline">{HERE}</g>'
    f'<g display="inline" style="display:none">{GONE}</g>',
    "visibility": f'<g visibility="hidden">{GONE}<path visibility="visible" '
    f'd="M50 250 L 90 300 L 20 300" {INK}/></g><g style="visibility:collapse">{GONE}</g>{HERE}',
    "invalid values are passed over": f'<g style="display:nonne" visibility="off">{HERE}</g>'
    f'<path style="fill:nothing;stroke:blau" d="M20 220 L 120 220 L 120 300" {INK}/>',
    "important": "<style>#a{display:none!important}#b{display:inline!important}.c{display:none}</style>"
    f'<g id="a" style="display:inline">{GONE}</g><g id="b" class="c" style="display:none">{HERE}</g>',
    "specificity": "<style>g.a path{stroke:none}#x{stroke:red}path{stroke:none}</style>"
    '<g class="a"><path id="x" d="M20 20 L 90 90 L 20 90" fill="none"/>'
    '<path d="M220 20 L 290 90 L 220 90" fill="none"/></g>',
    "order of rules": "<style>path{display:none}path{display:inline}</style>"
    f"{HERE}<style>circle{{visibility:hidden}}</style><circle cx='300' cy='300' r='30' {INK}/>",
    "selectors": "<style>g > path:first-child{display:none}path + path{fill:none;stroke:red}"
    "[data-x='1']{display:none}*|circle{fill:none;stroke:blue}rect:not(.k){display:none}</style>"
    f'<g>{GONE}<path d="M50 250 L 90 300 L 20 300"/></g><path data-x="1" d="M5 5 L 9 99 L 99 9"/>'
    '<circle cx="300" cy="300" r="40"/><rect width="60" height="50" stroke="red"/>'
    f'<rect class="k" x="200" width="60" height="50" {INK}/>',
    "media": "<style>@media print{path{display:none}}@media screen{circle{display:none}}</style>"
    '<style media="print">path{display:none}</style>'
    "<style>@media (prefers-color-scheme: dark){path{stroke:none}}</style>"
    f'{HERE}<circle cx="300" cy="300" r="40" {INK}/>',
    "not a style sheet": f'<style type="text/plain">path{{display:none}}</style>{HERE}',
    "style sheet in CDATA": f"<style><![CDATA[ .no > path{{display:none}} ]]></style><g class='no'>{GONE}</g>{HERE}",
    "namespaced selectors": "<style>@namespace s url(http://www.w3.org/2000/svg);s|circle{display:none}</style>"
    f'<circle cx="300" cy="300" r="40" {INK}/>{HERE}',
    "case does not matter": '<path d="M20 20 L90 20 L90 90" style="FILL:NONE;STROKE:Red"/>'
    '<path d="M120 20 L190 20 L190 90" fill="NONE" stroke="RED"/>',
    "rubbish in a style": '<path d="M20 20 L90 20 L90 90" style=";;fill:none;stroke:;;stroke : red ;foo"/>'
    '<path d="M120 20 L190 20 L190 90" style="/*fill:red*/fill:none;stroke:red/**/"/>',
    "context without one": f'<path d="M20 20 L90 20 L90 90" fill="none" stroke="context-stroke"/>'
    f'<g transform="translate(0 200)">{HERE}</g>',
    "variables": "<style>:root{--ink:blue;--no:none;--x:40px}path{stroke:var(--ink);fill:var(--no)}"
    ".q{stroke:var(--missing, none)}rect{x:var(--x);stroke:var(--missing)}</style>"
    f'{HERE}<path class="q" d="M20 220 L 120 220 L 120 300"/><rect y="300" width="50" height="40"/>',
    "variables that are missing": "<style>path{fill:none;stroke:var(--missing, red)}</style>"
    '<path d="M20 220 L 120 220 L 120 300"/>',
    "inherited and reset": '<g fill="none" stroke="red"><path d="M20 20 L 90 90 L 20 90"/>'
    '<path style="stroke:initial" d="M220 20 L 290 90 L 220 90"/>'
    '<path style="stroke:unset" d="M20 220 L 90 290 L 20 290"/>'
    '<path style="stroke:inherit" d="M320 220 L 390 290 L 320 290"/></g>',
    "nothing to see": f'<path d="M20 20 L 90 90 L 20 90" {INK} stroke-width="0"/>'
    f'<path d="M120 20 L 190 90 L 120 90" {INK} stroke-opacity="0"/>'
    f'<path d="M220 20 L 290 90 L 220 90" {INK} opacity="0"/>'
    '<path d="M320 20 L 390 90 L 320 90" fill="none" stroke="transparent"/>'
    '<path d="M20 120 L 90 190 L 20 190" fill="none" stroke="rgba(1,2,3,0)"/>'
    '<path d="M120 120 L 190 190 L 120 190" fill="none"/>'
    '<g fill="#12345600"><path d="M220 120 L 290 190 L 220 190"/></g>'
    '<g opacity="0%"><path d="M320 120 L 390 190 L 320 190" stroke="red"/></g>'
    f'<path d="M20 220 L 90 290 L 20 290" {INK} style="stroke-width:0"/>'
    '<g color="transparent"><path d="M120 220 L 190 290 L 120 290" fill="none" stroke="currentColor"/></g>'
    f'<g transform="translate(0 300)">{HERE}</g>',
    "current colour": '<g color="red"><path d="M20 20 L 90 90 L 20 90" fill="none" stroke="currentColor"/></g>',
    "gradients": '<linearGradient id="g"><stop stop-color="red"/></linearGradient>'
    '<path d="M20 20 L 90 90 L 20 90" fill="none" stroke="url(#g)"/>'
    '<path d="M120 20 L 190 90 L 120 90" fill="none" stroke="url(#missing)"/>'
    '<path d="M220 20 L 290 90 L 220 90" fill="none" stroke="url(#missing) red"/>',
    "filled only": '<path d="M0 0h240v240H0z" fill="none"/><path d="M30 172V210h37L178 99l-37-37z"/>'
    '<circle cx="300" cy="300" r="40" fill="white"/>',
    # --- containers
    "switch": f'<switch><g systemLanguage="xx">{GONE}</g><g>{HERE}</g><g>{GONE}</g></switch>',
    "switch by language": f'<switch><g systemLanguage="de">{GONE}</g><g systemLanguage="fr, en">{HERE}</g>'
    f"<g>{GONE}</g></switch>",
    "switch by extension": '<switch><foreignObject requiredExtensions="http://ns.example/x" width="1" '
    f'height="1"/><g>{HERE}</g></switch>',
    "switch with words": f"<switch><desc>a</desc><style/><unknown/><g>{HERE}</g></switch>",
    "switch of a list": f'<switch><g systemLanguage="">{GONE}</g><g systemLanguage="en-GB">{HERE}</g></switch>',
    "switch by required features": f'<switch><g requiredFeatures="x">{HERE}</g><g>{GONE}</g></switch>',
    "switch hides a hidden branch": f'<switch><g display="none">{GONE}</g><g>{GONE}</g></switch>{HERE}',
    "language outside a switch": f'<g systemLanguage="xx">{GONE}</g><g systemLanguage="en">{HERE}</g>',
    "not rendered": "".join(
        f"<{name}>{GONE}</{name}>"
        for name in ("defs", "symbol", "clipPath", "mask", "marker", "pattern", "metadata", "desc",
                     "title", "flowRoot", "filter", "linearGradient", "unknown", "text")
    )
    + HERE,
    "children of shapes": f'<path d="M20 20 L 90 90 L 20 90" {INK}>{GONE}</path>',
    "foreign namespace": f'<x:g xmlns:x="http://example.org/x">{GONE}</x:g><g xmlns="">{GONE}</g>{HERE}',
    "links": f'<a href="#x">{HERE}</a>',
    "nested drawing": f'<svg x="50" y="40" width="200" height="100" viewBox="0 0 400 400">'
    f'<circle cx="50%" cy="200" r="50" {INK} stroke-width=".5"/></svg>',
    "nested drawing at the edge": f'<svg x="10%" y="40" width="50%" height="100" viewBox="5 5 20 40" '
    f'preserveAspectRatio="xMinYMax slice"><path d="M6 38 L 12 44 L 18 38" {INK} stroke-width=".5"/></svg>',
    "nested drawing and a style": f'<style>svg svg{{x:30px;width:90px}}</style>'
    f'<svg x="5" y="7" width="300" height="300">{HERE}</svg>',
    "nested drawing stretched": f'<svg width="200" height="100" viewBox="0 0 20 40" '
    f'preserveAspectRatio="none"><path d="M6 2 L 12 38 L 18 2" {INK} stroke-width=".5"/></svg>',
    "nested drawing without viewBox": f'<svg x="40" y="50" width="300" height="200">'
    f'<rect x="10%" y="10%" width="50%" height="50%" {INK}/></svg>',
    "nested drawing with a transform": f'<svg x="40" y="50" transform="rotate(10)" width="300" height="200">'
    f"{HERE}</svg>",
    "nested drawing of no size": f'<svg width="0" height="50">{GONE}</svg>'
    f'<svg width="50" height="50" viewBox="0 0 0 9">{GONE}</svg>{HERE}',
    "page with an origin": f'<svg {SVG} width="300" height="200" viewBox="-100 -50 400 300">'
    f'<path d="M-50 -20 L 90 60 L 20 200" {INK}/></svg>',
    "nested drawing that cuts": f'<svg x="10" y="10" width="250" height="100">{HERE}{GONE}</svg>'
    f'<svg y="300" width="9" height="9" overflow="visible">{HERE}</svg>'
    f'<svg y="400" width="9" height="9" style="overflow:scroll">{HERE}</svg>',
    # --- clip paths and masks: HERE lies within, GONE beyond
    "clip path": f'{CLIP}<g clip-path="url(#c)">{HERE}{GONE}</g>',
    "clip path of shapes": f'{CLIP}<path d="M20 20 L 90 90 L 20 60" {INK} clip-path="url(#c)"/>'
    f'<path d="M20 220 L 120 220 L 120 300" {INK} clip-path="url(#c)"/>',
    "clip path in a class": f'<style>.k{{clip-path:url("#c")}}</style>{CLIP}<g class="k">{HERE}{GONE}</g>',
    "clip path that moves along": f'{CLIP}<g transform="translate(200 200) rotate(9)" clip-path="url(#c)">{HERE}{GONE}</g>',
    "clip path with a transform": '<clipPath id="c" transform="translate(0 -200)"><rect y="200" width="300"'
    f' height="150"/></clipPath><g clip-path="url(#c)">{HERE}{GONE}</g>',
    "clip path of Cairo": '<clipPath id="c"><path clip-rule="nonzero" d="M 0 0 L 300 0 L 300 150 L 0 150 Z '
    f'M 0 0 "/></clipPath><g clip-path="url(#c)">{HERE}{GONE}</g>',
    "clip path of Illustrator": '<defs><rect id="r" width="300" height="150"/></defs><clipPath id="c">'
    f'<use xlink:href="#r" style="overflow:visible"/></clipPath><g style="clip-path:url(#c)">{HERE}{GONE}</g>',
    "clip path on a use": f'{CLIP}<defs><g id="s" transform="translate(0 0)">{GONE}</g></defs>'
    f'<use href="#s" clip-path="url(#c)"/>{HERE}',
    "clip path of several shapes": '<clipPath id="c"><rect width="300" height="150"/><rect y="210" '
    'width="300" height="95"/><rect x="400" y="400" width="99" height="99" display="none"/></clipPath>'
    f'<g clip-path="url(#c)">{HERE}{GONE}<path d="M420 420 L 450 450" {INK}/></g>',
    "clip path of a circle": f'<clipPath id="c"><circle cx="110" cy="40" r="150"/></clipPath><g clip-path="url(#c)">{HERE}{GONE}</g>',
    "clip path with a hole": '<clipPath id="c" clip-rule="evenodd"><path d="M0 0H500V500H0Z M10 210H400V400H10Z"/>'
    f'</clipPath><g clip-path="url(#c)">{HERE}{GONE}</g>',
    "clip path without a hole": '<clipPath id="c"><path d="M0 0H500V500H0Z M10 210H400V400H10Z"/>'
    f'</clipPath><g clip-path="url(#c)">{HERE}{GONE}</g>',
    "clip path that is empty": f'<clipPath id="c"/><g clip-path="url(#c)">{GONE}</g><clipPath id="d"><rect '
    f'width="0" height="9"/></clipPath><g clip-path="url(#d)">{GONE}</g>{HERE}',
    "clip path that is missing": f'<g clip-path="url(#nothing)" mask="url(#nothing)">{HERE}</g>',
    "clip path of a clip path": '<clipPath id="d"><rect width="9" height="9"/></clipPath><clipPath id="c" '
    f'clip-path="url(#d)"><rect y="200" width="200" height="200"/></clipPath><g clip-path="url(#c)">{GONE}</g>{HERE}',
    "clip path in units of the box": '<clipPath id="c" clipPathUnits="objectBoundingBox"><rect width="1" '
    f'height="1"/></clipPath><path d="M20 20 L 90 90 L 20 60" {INK} clip-path="url(#c)"/>',
    "clip paths that leave nothing": f'{CLIP}<clipPath id="d"><rect x="400" width="99" height="99"/></clipPath>'
    f'<g clip-path="url(#c)"><g clip-path="url(#d)">{GONE}</g></g>{HERE}',
    "frame on the edge of a clip path": f'{CLIP}<g clip-path="url(#c)"><rect width="300" height="150" {INK}/></g>',
    "filled shapes under a clip path": f'{CLIP}<g clip-path="url(#c)"><path d="M20 20 L 90 90 L 20 60"/>'
    '<path d="M20 220 L 120 220 L 120 300"/></g>',
    "mask of a white shape": '<mask id="m" maskUnits="userSpaceOnUse" x="0" y="0" width="400" height="400">'
    f'<path d="M0 0H300V150H0Z" fill="#fff"/></mask><g mask="url(#m)">{HERE}{GONE}</g>',
    "mask by alpha": '<mask id="m" style="mask-type:alpha" maskUnits="userSpaceOnUse" x="0" y="0" width="300" '
    f'height="150"><rect width="500" height="500" fill="#d9d9d9"/></mask><g mask="url(#m)">{HERE}{GONE}</g>',
    "mask that hides all": '<mask id="m" maskUnits="userSpaceOnUse" x="0" y="0" width="500" height="500">'
    f'<rect width="500" height="500"/></mask><g mask="url(#m)">{GONE}</g><mask id="n"/>'
    f'<g mask="url(#n)">{GONE}</g>{HERE}',
    "gradients that paint nothing": '<linearGradient id="g"/><linearGradient id="h"><stop stop-color="red"/>'
    '<stop offset="1" stop-color="blue"/></linearGradient><linearGradient id="i" href="#h" '
    'gradientUnits="userSpaceOnUse" x2="500"/><path d="M20 20 L 90 20" fill="none" stroke="url(#g)"/>'
    '<path d="M20 120 L 90 120" fill="none" stroke="url(#h)"/><path d="M20 220 L 90 220" fill="none" '
    'stroke="url(#i)" stroke-width="4"/><path d="M20 320 L 90 390" fill="none" stroke="url(#h)"/>',
    "path data in a style that is invalid": f'<path style="d:path(\'M9 9 Lx\')" d="M20 20 L 90 90" {INK}/>'
    f'<path style="d:banana" d="M120 20 L 190 90" {INK}/>',
    "flat and full": '<path d="M20 20 L 90 90"/><path d="M120 20 L 190 90 L 110 80 z"/>',
    "page without viewBox": f'<svg {SVG} width="300" height="200">{HERE}</svg>',
}  # fmt: skip

# <use> repeats what it names where getPointAtLength cannot look: boxes are compared.
USES = {
    "use": f'<defs><path id="a" d="M20 20 L 90 90 L 20 60" {INK}/></defs><use href="#a" x="50" y="30"/>',
    "use with xlink": f'<defs><g id="a" transform="rotate(10)"><rect width="40" height="30" {INK}/></g></defs>'
    '<use xlink:href="#a" x="10%" transform="translate(30 20)"/>',
    "use of a symbol": f'<symbol id="a" viewBox="0 0 10 10"><circle cx="5" cy="5" r="4" {INK}/></symbol>'
    '<use href="#a" x="50" y="30" width="100" height="60"/>',
    "use by an escaped name": f'<defs><path id="\u00e9 x" d="M20 20 L 90 90 L 20 60" {INK}/></defs>'
    '<use href=" #%C3%A9%20x " x="50"/>',
    "use of use": '<defs><rect id="a" width="40" height="30"/><use id="b" href="#a" x="20"/></defs>'
    '<use href="#b" y="70" fill="none" stroke="red"/>',
    "use placed by a style": f'<defs><path id="a" d="M20 20 L 90 90 L 20 60" {INK}/></defs>'
    '<use href="#a" style="x:50px;y:10%"/>',
    "use with a style": "<style>.b{stroke:red;fill:none}</style>"
    '<defs><path id="a" d="M20 20 L 90 90 L 20 60"/></defs><use class="b" href="#a" style="transform:scale(2)"/>',
}  # fmt: skip

# What the picture alone does not tell: refused, and why.
REFUSED = {
    "style from elsewhere": (f'<?xml-stylesheet href="a.css"?><svg {SVG}>{HERE}</svg>', "style from another"),
    "use of another file": ('<use href="other.svg#a"/>', "another file"),
    "use of itself": (f'<g id="a">{HERE}<use href="#a"/></g>', "uses itself"),
    "percent of nothing": (f'<svg {SVG}><rect width="50%" height="10" {INK}/></svg>', "states no size"),
    "unit of the window": (f'<rect width="50vw" height="10" {INK}/>', "depends on more"),
    "unit of the font": (f'<rect width="5ex" height="10" {INK}/>', "depends on more"),
    "three dimensions": (f'<g style="transform:rotateX(30deg)">{HERE}</g>', "rotatex"),
    "motion path": (f"<g style=\"offset-path:path('M0 0L9 9')\">{HERE}</g>", "offset-path"),
    "animated transform": (
        '<g><animateTransform attributeName="transform" type="rotate" from="0" to="9" dur="1s"/>'
        f"{HERE}</g>", "animateTransform"),
    "animated by style": (
        "<style>@keyframes k{to{transform:rotate(9deg)}}g{animation:k 2s infinite}</style>"
        f"<g>{HERE}</g>", "animation k"),
    "media that ask the window": (
        f"<style>@media (min-width:9px){{path{{display:none}}}}</style>{HERE}", "media"),
    "layers": (f"<style>@layer a{{path{{display:none}}}}</style>{HERE}", "@layer"),
    "nested rules": (f"<style>g{{path{{display:none}}}}</style><g>{HERE}</g>", "nested style"),
    "selector that cannot be read": (f"<style>.1a{{display:none}}</style>{HERE}", "cannot be read"),
    "drawing in HTML": (
        '<foreignObject width="9" height="9"><div xmlns="http://www.w3.org/1999/xhtml">'
        f"<svg {SVG}>{HERE}</svg></div></foreignObject>{HERE}", "HTML"),
    "unknown transform": (f'<g transform="wobble(3)">{HERE}</g>', "wobble"),
    "half a transform": (f'<g transform="matrix(1 2 3)">{HERE}</g>', "matrix"),
    "display contents": (f'<g style="display:contents">{HERE}</g>', "contents"),
    "group box": (f'<g style="transform:rotate(9deg);transform-box:fill-box">{HERE}</g>', "of a group"),
    "clip path of text": (
        f'<clipPath id="c"><text y="40">O</text></clipPath><g clip-path="url(#c)">{HERE}</g>', "of text"),
    "clip path in units of a group": (
        '<clipPath id="c" clipPathUnits="objectBoundingBox"><rect width="1" height="1"/></clipPath>'
        f'<g clip-path="url(#c)">{HERE}</g>', "group's box"),
    "clip path of CSS": (f'<g style="clip-path:circle(30px)">{HERE}</g>', "circle"),
    "clip path of another file": (f'<g clip-path="url(a.svg#c)">{HERE}</g>', "a.svg#c"),
    "clip path of itself": (
        f'<clipPath id="c" clip-path="url(#c)"><rect width="9" height="9"/></clipPath><g clip-path="url(#c)">{HERE}</g>',
        "clips itself"),
    "clip path of what it clips": (
        f'<clipPath id="c"><use href="#d"/></clipPath><g id="d" clip-path="url(#c)">{HERE}</g>', "clips itself"),
    "clip path in a circle of two": (
        '<clipPath id="c"><rect width="9" height="9" clip-path="url(#d)"/></clipPath><clipPath id="d">'
        f'<rect width="9" height="9" clip-path="url(#c)"/></clipPath><g clip-path="url(#c)">{HERE}</g>', "clip"),
    "mask that multiplies": (
        "<defs><g id='a0'/>" + "".join(f"<g id='a{i}'>" + f"<use href='#a{i - 1}'/>" * 10 + "</g>" for i in range(1, 9))
        + f"</defs><mask id='m'><use href='#a8'/></mask><g mask='url(#m)'>{HERE}</g>", "more than 1000 elements"),
    "clip path that is endless": (
        '<clipPath id="c" transform="scale(1e300)"><rect width="1e300" height="9"/></clipPath>'
        f'<g clip-path="url(#c)">{HERE}</g>', "not finite"),
    "clip path in too much detail": (
        f'<clipPath id="c"><path d="M0 0{"a1 1 0 0 1 1 1" * 400}"/></clipPath><path fill="none" stroke="red" '
        f'clip-path="url(#c)" d="M0 0{"a1 1 0 0 1 1 1" * 9}"/>', "too detailed"),
    "clip path on a filled shape": (
        f'{CLIP}<path d="M20 20 L 90 190 L 20 160" clip-path="url(#c)"/>', "filled shape that is cut"),
    "clip path within a filled shape": (
        f'{CLIP}<path d="M-20 -20 H 400 V 400 H -20 Z" clip-path="url(#c)"/>', "filled shape that is cut"),
    "grey mask": (
        f'<mask id="m"><rect width="900" height="900" fill="grey"/></mask><g mask="url(#m)">{HERE}</g>', "grey"),
    "mask with a hole": (
        '<mask id="m"><rect width="900" height="900" fill="white"/><circle r="90"/></mask>'
        f'<g mask="url(#m)">{HERE}</g>', "dark shapes"),
    "mask of half opacity": (
        '<mask id="m"><rect width="900" height="900" fill="white" opacity=".5"/></mask>'
        f'<g mask="url(#m)">{HERE}</g>', "partly transparent"),
    "mask of a picture": (
        f'<mask id="m"><image width="9" height="9"/></mask><g mask="url(#m)">{HERE}</g>', "pictures"),
    "hidden content": (f'<g style="content-visibility:hidden">{HERE}</g>', "content-visibility"),
    "variables in a circle": (
        f"<style>g{{--a:var(--b);--b:var(--a)}}path{{fill:var(--a)}}</style><g>{HERE}</g>", "without end"),
}  # fmt: skip


def content(body: str) -> str:
    """The text of a file with this body."""
    whole = body.startswith((f"<svg {SVG}", "<?xml"))
    return body if whole else f"{HEAD}{body}</svg>"
