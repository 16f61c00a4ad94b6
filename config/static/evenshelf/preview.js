'use strict';
// A form with a panel beside it that says what it would do: asked again whenever a field changes.
{
    const card = document.querySelector('[data-preview-url]');
    const form = card.closest('form');
    const WAIT = 500;

    const written = () => new URLSearchParams(new FormData(form)).toString();
    let timer = 0;
    let asked = null;
    let last = '';
    const ask = async () => {
        last = written();
        if (asked) asked.abort();
        asked = new AbortController();
        const { signal } = asked;
        const place = card.querySelector('[data-preview]');
        place.setAttribute('aria-busy', 'true');
        try {
            const answer = await fetch(card.dataset.previewUrl, {
                method: 'POST', body: new FormData(form), headers: { Accept: 'application/json' }, signal,
            });
            if (!answer.ok) throw new Error(String(answer.status));
            place.innerHTML = (await answer.json()).html;
        } catch {
            if (signal.aborted) return;
            last = '';
            place.textContent = card.dataset.failed;
        }
        place.removeAttribute('aria-busy');
    };
    // Nobody is told what is missing who has only begun.
    const begun = () => new FormData(form).get('figure') || new FormData(form).get('tiers_text');
    const askSoon = () => {
        clearTimeout(timer);
        if (begun() && written() !== last) timer = setTimeout(ask, WAIT);
    };
    form.addEventListener('input', askSoon);
    form.addEventListener('change', askSoon);
    // The calendar and the clock of the admin tell nobody; whoever leaves them comes back to the form.
    form.addEventListener('focusin', askSoon);
    card.querySelector('[name=_check]').addEventListener('click', (event) => {
        event.preventDefault();
        clearTimeout(timer);
        ask();
    });
    if (begun()) ask();
}
