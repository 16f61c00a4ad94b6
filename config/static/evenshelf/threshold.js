'use strict';
// The form of a threshold: shows the fields that its subject and its kind use, and what it would have done.
{
    const form = document.getElementById('threshold_form');
    const card = form && form.querySelector('[data-preview-url]');
    const WAIT = 400;
    const SUBJECTS = ['listing', 'product', 'brand', 'channel'];
    const uses = JSON.parse(document.getElementById('threshold-uses').textContent);
    const ruleFields = [...new Set(Object.values(uses).flat())];

    const valueOf = (name) => new FormData(form).get(name) || '';
    const show = (name, isShown) => {
        const row = form.querySelector(`.form-row.field-${name}`);
        if (row) {
            row.classList.toggle('hidden', !isShown);
        }
    };

    const arrange = () => {
        const about = valueOf('about');
        const kind = valueOf('kind');
        const reference = valueOf('reference') || 'previous';
        for (const subject of SUBJECTS) {
            show(subject, subject === about);
        }
        const used = new Set(uses[kind] || []);
        if (kind === 'price_change') {
            if (reference !== 'median') used.delete('days');
            if (reference !== 'baseline') used.delete('baseline_at');
        }
        for (const name of ruleFields) {
            show(name, used.has(name) && !(name === 'ownership' && about === 'listing'));
        }
    };

    let timer = 0;
    let asked = null;
    const ask = async () => {
        if (!valueOf('kind')) return;
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
            place.textContent = card.dataset.failed;
        }
        place.removeAttribute('aria-busy');
    };
    const askSoon = () => {
        clearTimeout(timer);
        timer = setTimeout(ask, WAIT);
    };

    const changed = () => {
        arrange();
        askSoon();
    };
    form.addEventListener('input', changed);
    form.addEventListener('change', changed);
    // Autocomplete tells only jQuery.
    if (window.django && window.django.jQuery) {
        window.django.jQuery(form).on('change', 'select', changed);
    }
    card.querySelector('[name=_check]').addEventListener('click', (event) => {
        event.preventDefault();
        clearTimeout(timer);
        ask();
    });
    arrange();
    ask();
}
