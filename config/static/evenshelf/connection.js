'use strict';
// The form of a connection: shows the fields that the chosen kind asks for. The server judges no others.
{
    const form = document.getElementById('connection_form');
    const rows = Array.from(form.querySelectorAll('[data-only-for]'));

    const arrange = () => {
        for (const row of rows) {
            const chosen = form.elements[row.dataset.onlyFor].value;
            const isAsked = row.dataset.onlyValues.split(' ').includes(chosen);
            row.classList.toggle('hidden', !isAsked);
            // The rows say it in words for those who have no script.
            row.querySelectorAll('.only-for').forEach((words) => { words.hidden = true; });
        }
    };

    form.addEventListener('change', arrange);
    arrange();
}
