-- What a database holds after 0005 besides: the two commits of the contribution of 0002.

INSERT INTO contribution_commit
    (project_id, base_id, head_id, place, commit_id, title, author_name, author_address,
     committer_name, committer_address, commit_time)
VALUES
    ('project-1', '', 'head', 0, 'head', 'Count again', 'Ines', 'ines@shop.example', 'Ines',
     'ines@shop.example', 1760000000000000),
    ('project-1', '', 'head', 1, 'before', 'Count', 'Mara', 'mara@shop.example', 'Ines',
     'ines@shop.example', 1750000000000000);
