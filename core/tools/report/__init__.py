"""The program behind `table_report`: it runs in the sandbox, with the tool environment's Python and matplotlib.

It is packed and handed to the sandbox as it is, so it imports nothing of ours but its own modules. It reads one table,
says in a sentence what is wrong with it, or writes `summary.json`, `summary.md` and `chart.png`.

    table     bytes to rows: encoding, delimiter, header, ragged rows
    values    one cell: missing, number, date
    columns   one column: what kind it is and its statistics
    choose    which picture suits the table
    chart     drawing it
    summary   writing it down
    main      all of it, in order
"""
