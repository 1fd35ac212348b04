"""The page that verifies slips: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

_MODULES = TEST + "test_slip_page_modules.py -k "
_BROWSER = TEST + "test_slip_page_browser.py -k "

MUTATIONS = (
    _m(
        "a slip of another content isn't genuine in the browser",
        "slip/page/ecdsa.js",
        'return crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, signed);',
        "return true;",
        _MODULES + "every_verdict",
    ),
    _m(
        "a directory's chain ends at the fleet's root",
        "slip/page/x509.js",
        "if (!equal(child.issuer, issuer.subject)) return false;",
        "return true;",
        _MODULES + "admin_of_this_fleet",
    ),
    _m(
        "the page leaves no slip in what the window remembers",
        "slip/page/app.js",
        'history.replaceState(null, "", pathname + search);',
        "",
        _BROWSER + "gives_its_verdict",
    ),
    _m(
        "an old list never gives a genuine slip",
        "slip/page/verify.js",
        "    ...statusTrouble(directory, status, at),\n",
        "",
        _MODULES + "every_verdict",
    ),
    _m(
        "what a slip says is text",
        "slip/page/view.js",
        "made.textContent = text;",
        "made.innerHTML = text;",
        _BROWSER + "ever_markup",
    ),
    _m(
        "a list that was known isn't forgotten for an older one",
        "slip/page/knowledge.js",
        "if (found.length > 0) await keep(kept, STATUS, found[0].text);",
        "",
        _BROWSER + "takes_no_withdrawal_back",
    ),
)
