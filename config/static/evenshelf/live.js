'use strict';
{
    // The figures of what goes on are fetched anew until it is over. Where no script runs, a reload shows the same.
    const EVERY = 3000;
    const parts = (root) => Array.from(root.querySelectorAll('.facts, [data-live]'));

    const refresh = async () => {
        try {
            const answer = await fetch(location.href, { credentials: 'same-origin' });
            if (answer.ok) {
                const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
                if (!page.querySelector('[data-live]')) {
                    location.reload();
                    return;
                }
                const fresh = parts(page);
                parts(document).forEach((part, index) => part.replaceWith(fresh[index]));
            }
        } catch {
            // The next one may come through.
        }
        setTimeout(refresh, EVERY);
    };
    setTimeout(refresh, EVERY);
}
