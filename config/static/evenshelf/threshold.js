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

    // What was wrong with the form as it was loaded says nothing about another one; the answer does.
    const written = () => new URLSearchParams(new FormData(form)).toString();
    const loaded = written();
    const forgetErrors = () => {
        form.querySelectorAll('.errornote, .errorlist').forEach((list) => list.remove());
        form.querySelectorAll('.errors').forEach((row) => row.classList.remove('errors'));
        form.querySelectorAll('[aria-invalid]').forEach((field) => field.removeAttribute('aria-invalid'));
    };

    let timer = 0;
    let asked = null;
    const ask = async () => {
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
            if (written() !== loaded) forgetErrors();
        } catch {
            if (signal.aborted) return;
            place.textContent = card.dataset.failed;
        }
        place.removeAttribute('aria-busy');
    };
    // Nobody is told what is missing who has only begun.
    const askSoon = () => {
        clearTimeout(timer);
        if (valueOf('kind')) timer = setTimeout(ask, WAIT);
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
    if (valueOf('kind')) ask();
}
