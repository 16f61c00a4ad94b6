'use strict';
{
    // What goes on by itself is fetched anew until it is over. Where no script runs, a reload shows the same.
    const EVERY = 3000;
    const parts = (root) => Array.from(root.querySelectorAll('.facts, [data-live]'));
    const goesOn = () => document.querySelector('[data-live=on]') !== null;

    const refresh = async () => {
        try {
            const answer = await fetch(location.href, { credentials: 'same-origin' });
            if (answer.ok) {
                const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
                const fresh = parts(page);
                parts(document).forEach((part, index) => fresh[index] && part.replaceWith(fresh[index]));
            }
        } catch {
            // The next one may come through.
        }
        if (goesOn()) {
            setTimeout(refresh, EVERY);
        }
    };
    if (goesOn()) {
        setTimeout(refresh, EVERY);
    }
}
